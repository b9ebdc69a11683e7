# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the scripts with ctr's cases stand on: the image, and how to get back to it.

image=docker.io/library/busybox:1
image_tar=$work/busybox.tar
remote=$registry/busybox:1

# A case that failed must not make the next ones fail: only the image stays.
after_failure() {
  local name
  pgrep -f "^$ctr_binary " | xargs -r kill -KILL
  awk -v work=$work '$5 ~ "^" work "/." {print $5}' /proc/self/mountinfo | sort -r | xargs -r umount
  for name in $(ctr namespaces ls -q); do
    remove_all "$name"
    "$ctr_binary" -a $socket -n "$name" snapshots ls | awk 'NR > 1 && $1 !~ /^sha256:/ {print $1}' |
      xargs -r -n 1 "$ctr_binary" -a $socket -n "$name" snapshots rm
    [ "$name" = "$ns" ] || ctr namespaces rm "$name"
  done
  ctr images import "${local_flag[@]}" $image_tar
  rm -rf /run/containerd/fifo /run/gantry/fifo ${TMPDIR:?}/*
}
