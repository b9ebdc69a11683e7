# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The guest's root disk: Debian with systemd and the OCI runtimes, made once and kept in the cache. Needs kernel.sh.

root_packages=(
  systemd systemd-sysv dbus kmod procps iproute2 util-linux bsdutils mount e2fsprogs python3 jq curl busybox-static
  runc crun criu iptables
)

# Where Debian's packages come from on this machine.
mirror() {
  local list=/etc/apt/sources.list.d/debian.sources
  { sed -n 's/^URIs: *\([^ ]*\).*/\1/p' $list; sed -n 's/^deb \(\[[^]]*\] \)\?\([^ ]*\) .*/\2/p' /etc/apt/sources.list || true; } 2>/dev/null |
    grep -v security | head -n 1 | grep . || echo http://deb.debian.org/debian
}

# root_image KERNEL prints the disk's file. Guests write to it only what they forget.
root_image() {
  local kernel=$1 key image scratch
  key=$({ declare -f bootstrap furnish; kernel_version "$kernel"; echo "${root_packages[*]} ${guest_modules[*]}"; } | sha256sum | cut -c1-16)
  image=$(cache_dir)/vm/root-$key.img
  if [ ! -e "$image" ]; then
    mkdir -p "$(cache_dir)/vm"
    scratch=$(mktemp -d "$image.XXXXXX")
    if ! { bootstrap "$scratch/root" && furnish "$kernel" "$scratch/root" && make_disk "$scratch/root" "$scratch/disk" 1024; } >"$image.log" 2>&1; then
      tail -n 20 "$image.log" >&2
      rm -rf "$scratch"
      return 1
    fi
    mv "$scratch/disk" "$image"
    rm -rf "$scratch"
  fi
  echo "$image"
}

bootstrap() { # FOLDER
  local packages release
  packages=$(IFS=,; echo "${root_packages[*]}")
  release=$(. /etc/os-release && echo "$VERSION_CODENAME")
  # In a mount namespace: whatever debootstrap mounts in there goes with it.
  unshare --mount debootstrap --variant=minbase --include="$packages" "$release" "$1" "$(mirror)"
}

furnish() { # KERNEL FOLDER
  local kernel=$1 root=$2 version module
  version=$(kernel_version "$kernel")
  for module in $(module_files "$kernel" "${guest_modules[@]}"); do
    install -D -m 644 "$module" "$root/${module#"$kernel"/}"
  done
  cp "$kernel/lib/modules/$version"/modules.{builtin,builtin.modinfo,order} "$root/lib/modules/$version/"
  depmod -b "$root" "$version"
  mkdir -p "$root/vm"
  : >"$root/etc/fstab"
  echo vm >"$root/etc/hostname"
  printf '127.0.0.1 localhost vm\n' >"$root/etc/hosts"
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/usr/share/{doc,man,locale}
  # What would only cost the guest time.
  ln -sf /dev/null "$root/etc/systemd/system/systemd-networkd-wait-online.service"
  rm -f "$root"/etc/systemd/system/getty.target.wants/*
}

make_disk() { # FOLDER FILE SPARE-MIB: an ext4 file system with the folder's files
  local size
  size=$(du -sm --apparent-size "$1" | cut -f 1)
  truncate -s $((size * 5 / 4 + $3))M "$2"
  mke2fs -q -t ext4 -F -O ^has_journal -d "$1" "$2"
}
