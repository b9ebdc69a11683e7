# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Last, when every case has removed what it made.

test_last_image_takes_everything_along() {
  same $image "$(ctr images ls -q)"
  ctr images rm --sync $image
  prints '' ctr content ls -q
  same '' "$(ctr snapshots ls | tail -n +2)"
  same '' "$(ctr snapshots --snapshotter native ls | tail -n +2)"
  prints '' ctr leases ls -q
  prints '' ctr containers ls -q
  prints '' ctr tasks ls -q
}

test_last_nothing_is_left() { within 5 nothing_left; }

test_last_descriptors_are_closed() { within 5 fds_settle; }

test_last_daemon_stops() {
  ctr namespaces rm "$ns"
  stop_daemon
  [ ! -e $socket ] || refuses 'refused|deadline|timed' timeout 2 "$ctr_binary" -a $socket version
  same '' "$(sanitizer_reports)"
}
