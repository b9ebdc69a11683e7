#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The command set of an unmodified ctr (CTR=2.4 or 1.6) against the daemon under test.
. "$(dirname "$0")/lib/harness.sh"
label="ctr $CTR, shim $SHIM"
cases=$(dirname "$0")/ctr

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
  rm -rf /run/containerd/fifo ${TMPDIR:?}/*
}

set_up() {
  "$lib/make-image" --ref $image --oci $image_tar >$work/image.digest
  start_registry
  "$lib/make-image" --ref $remote --push >/dev/null
  start_daemon
}
prepare set_up
mark_clean

run_cases "$cases/start.sh" "$cases/images.sh" "$cases/run.sh" "$cases/run_io.sh" "$cases/tasks.sh" \
  "$cases/stores.sh" "$cases/daemon.sh" "$cases/end.sh"
