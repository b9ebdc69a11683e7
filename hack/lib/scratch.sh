# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A folder in the build folder on which the overlayfs snapshotter works.

overlay_works() { # DIR: can a folder there be the upper layer of an overlay?
  local trial=$1/trial status=0
  mkdir -p "$trial"/{lower,upper,work,merged}
  if mount -t overlay overlay -o "lowerdir=$trial/lower,upperdir=$trial/upper,workdir=$trial/work" "$trial/merged" 2>/dev/null; then
    umount "$trial/merged"
  else
    status=1
  fi
  rm -rf "$trial"
  return $status
}

# make_scratch DIR makes it, with an ext4 file system of its own where the build folder's does not serve. That lies in DIR.img,
# which is mounted again if it is there.
make_scratch() {
  mkdir -p "$1"
  if [ ! -e "$1.img" ]; then
    if overlay_works "$1"; then return; fi
    echo "overlayfs does not work on $(stat -f -c %T "$1"), the file system of $1: using an ext4 loop file"
    truncate -s 8G "$1.img"
    mkfs.ext4 -q -F "$1.img"
  fi
  mount -o loop "$1.img" "$1"
}

remove_scratch() { # DIR
  if mountpoint -q "$1"; then umount "$1"; fi
  rm -rf "$1" "$1.img"
}
