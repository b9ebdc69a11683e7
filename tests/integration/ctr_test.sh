#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The command set of an unmodified ctr (CTR=2.4 or 1.6) against the daemon under test.
. "$(dirname "$0")/lib/harness.sh"
. "$(dirname "$0")/ctr/ground.sh"
label="ctr $CTR, $(standing)"
cases=$(dirname "$0")/ctr

if [[ $DAEMON = containerd* ]]; then
  known_failures=([test_run_output_is_complete_at_exit]="on a busy machine ctr is told of the exit before it has read all")
fi

set_up() {
  "$lib/make-image" --ref $image --oci $image_tar >$work/image.digest
  start_registry
  "$lib/make-image" --ref $remote --push >/dev/null
  start_daemon
}
prepare set_up
mark_clean

run_cases "$cases/start.sh" "$cases/images.sh" "$cases/run.sh" "$cases/run_io.sh" "$cases/tasks.sh" \
  "$cases/stores.sh" "$cases/sandboxes.sh" "$cases/daemon.sh" "$cases/end.sh"
