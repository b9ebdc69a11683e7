# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Debian's kernel for cloud machines, unpacked into the cache and never installed, and what boots it. Needs toolchain.sh.

vm_modules=(virtio_pci virtio_blk) # what brings the guest its disks
# What the tests find loaded; CRIU asks for those of the second line.
guest_modules=(loop overlay erofs veth bridge virtio_rng nf_tables
  nft_compat xt_mark nf_conntrack_netlink inet_diag tcp_diag udp_diag unix_diag netlink_diag af_packet_diag)

kernel_package() { # prints its name and version
  local name
  name=$(apt-cache depends linux-image-cloud-amd64 | awk '$1 == "Depends:" && $2 ~ /^linux-image-/ {print $2; exit}')
  [ -n "$name" ] || { echo "vm: apt knows no linux-image-cloud-amd64" >&2; return 1; }
  apt-cache show --no-all-versions "$name" | awk '$1 == "Package:" {name = $2} $1 == "Version:" {print name "=" $2; exit}'
}

unpack_kernel() { # PACKAGE FOLDER
  # Root alone reads the folder, so not apt's own user, who fetches otherwise.
  (cd "$2" && apt-get download -q -o APT::Sandbox::User=root "$1" >/dev/null && dpkg-deb -x ./*.deb . && rm ./*.deb) || return
  depmod -b "$2" "$(kernel_version "$2")"
}

# fetch_kernel prints the folder that the package is unpacked in. Without apt's lists, the newest that was fetched before.
fetch_kernel() {
  local package folder scratch
  package=$(kernel_package) || {
    folder=$(find "$(cache_dir)/vm" -maxdepth 1 -name 'kernel-*' -not -name '*.??????' 2>/dev/null | sort -V | tail -1)
    [ -n "$folder" ] && echo "$folder"
    return
  }
  folder=$(cache_dir)/vm/kernel-${package#*=}
  if [ ! -d "$folder" ]; then
    mkdir -p "$(cache_dir)/vm"
    scratch=$(mktemp -d "$folder.XXXXXX")
    if ! unpack_kernel "$package" "$scratch"; then
      rm -rf "$scratch"
      return 1
    fi
    mv -T "$scratch" "$folder"
  fi
  echo "$folder"
}

kernel_version() { basename "$1"/lib/modules/*; } # KERNEL

# module_files KERNEL MODULE...: in the order in which they can be loaded; what is built in has none.
module_files() {
  local kernel=$1 module
  shift
  for module; do
    modprobe -d "$kernel" -S "$(kernel_version "$kernel")" --show-depends "$module" | awk '$1 == "insmod" {print $2}'
  done | awk '!seen[$0]++'
}

# make_initramfs KERNEL FILE: busybox, the modules that the disks need, and guest/initramfs.
make_initramfs() {
  local kernel=$1 file=$2 tree n=0 module
  tree=$(mktemp -d "$file.XXXXXX")
  mkdir -p "$tree"/{bin,dev,proc,sys,modules,newroot}
  cp /bin/busybox "$tree/bin/busybox"
  cp "$vm/guest/initramfs" "$tree/init"
  chmod 755 "$tree/init"
  for module in $(module_files "$kernel" "${vm_modules[@]}"); do
    cp "$module" "$tree/modules/$(printf %02d $n)-${module##*/}"
    n=$((n + 1))
  done
  (cd "$tree" && find . | /bin/busybox cpio -o -H newc 2>/dev/null | gzip -1) >"$file"
  rm -rf "$tree"
}
