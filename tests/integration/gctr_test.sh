#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# gctr in the place of ctr: the cases of ctr that it serves, and its own.
. "$(dirname "$0")/lib/harness.sh"
. "$(dirname "$0")/ctr/ground.sh"
label="gctr, shim $SHIM"
here=$(dirname "$0")
real_ctr=$ctr_binary
ctr_binary=$repo/build/$PRESET/bin/gctr
if [ ! -x "$ctr_binary" ]; then echo "not ok $suite: $ctr_binary is not there"; exit 1; fi
gctr() { "$ctr_binary" "$@"; }
export TSAN_OPTIONS=$tsan_suppressions # where gctr was built for it, it reports to its errors, and exits 66

# Cases of ctr whose commands gctr does not serve yet; test_unserved_commands sees to it that it says so.
unserved='images_(pull|push|export|convert)|content_fetch|containers_checkpoint|_install$'
cases_in() { sed -nE 's/^(test_[a-z0-9_]+)\(\).*/\1/p' "$@" | grep -vE "$unserved"; }

set_up() {
  "$lib/make-image" --ref $image --oci $image_tar >$work/image.digest
  start_daemon
}
prepare set_up
mark_clean

run_cases "$here/ctr/start.sh" "$here/ctr/images.sh" "$here/ctr/run.sh" "$here/ctr/run_io.sh" "$here/ctr/tasks.sh" \
  "$here/ctr/stores.sh" "$here/ctr/daemon.sh" "$here/gctr/command_line.sh" "$here/gctr/spec.sh" "$here/gctr/images.sh" \
  "$here/gctr/processes.sh" "$here/gctr/shim.sh" "$here/ctr/end.sh"
