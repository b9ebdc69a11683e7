# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Debian packages: which ones, and how they are installed without starting a service.

# To build, and to run what hack/quickstart runs.
# shellcheck disable=SC2034 # read by hack/setup
build_packages=(
  build-essential cmake ninja-build pkg-config ccache mold git ca-certificates
  libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc libabsl-dev libspdlog-dev libfmt-dev
  libseccomp-dev liblmdb-dev libgtest-dev libgmock-dev libcurl4-openssl-dev libisal-dev libzstd-dev zlib1g-dev libssl-dev
  libarchive-dev libre2-dev libcli11-dev nlohmann-json3-dev libboost-dev libtomlplusplus-dev
  busybox-static e2fsprogs mount jq procps util-linux python3
)
# The OCI runtime and a shim for it, unless another vendor's are there, whose packages exclude Debian's.
command -v runc >/dev/null || build_packages+=(runc)
command -v containerd-shim-runc-v2 >/dev/null || build_packages+=(containerd)

# To test, check and measure.
# shellcheck disable=SC2034 # read by hack/setup
test_packages=(
  clang-14 clang-format-16 shellcheck lmdb-utils
  runc crun criu containerd docker.io docker-registry containernetworking-plugins
  iproute2 nftables iptables skopeo umoci isal pigz zstd xz-utils
  erofs-utils curl bsdutils attr acl libcap2-bin libarchive-tools apparmor strace hyperfine python3-venv
)

# For tests/vm, which is skipped where they cannot be had.
# shellcheck disable=SC2034 # read by hack/setup
vm_packages=(qemu-system-x86 debootstrap kmod)

missing_packages() { # PACKAGE...: those that are not installed
  dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
    awk '$1 == "installed" {print $2}' | sort | comm -13 - <(printf '%s\n' "$@" | sort)
}

# Some packages would start their services. While this file says 101, nothing is started, stopped or restarted.
policy=/usr/sbin/policy-rc.d

forbid_services() {
  if [ -e $policy.gantry ]; then mv $policy.gantry $policy; fi # an earlier run was killed
  if [ -e $policy ]; then mv $policy $policy.gantry; fi
  printf '#!/bin/sh\nexit 101\n' > $policy
  chmod 755 $policy
}

allow_services() {
  rm -f $policy
  if [ -e $policy.gantry ]; then mv $policy.gantry $policy; fi
}

run_apt() ( # PACKAGE...
  trap allow_services EXIT
  export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
  forbid_services && apt-get update -q &&
    apt-get install -y -q --no-install-recommends --no-upgrade --no-remove -o Dpkg::Use-Pty=0 "$@"
)

install_packages() { # PACKAGE...: installs what is missing; upgrades and removes nothing
  local missing
  mapfile -t missing < <(missing_packages "$@")
  if [ ${#missing[@]} = 0 ]; then return; fi
  if [ "$(id -u)" != 0 ]; then
    echo "setup: these packages are missing, and only root can install them: ${missing[*]}" >&2
    return 1
  fi
  echo "setup: installing ${missing[*]}"
  local log
  log=$(mktemp)
  if ! run_apt "${missing[@]}" >"$log" 2>&1; then
    cat "$log" >&2
    rm "$log"
    return 1
  fi
  rm "$log"
}
