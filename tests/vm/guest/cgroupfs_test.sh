#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Containers of the daemon under test where cgroup v2 is all there is, with the cgroupfs driver.
: "${CASES:=}"
. "$(dirname "$0")/../../integration/lib/harness.sh"
. "$(dirname "$0")/../../integration/ctr/ground.sh"
. "$(dirname "$0")/ground.sh"
label="vm $DAEMON, shim $SHIM, $OCI"
cases=$guest/../../integration/ctr
CASES=${CASES:-$default_cases}

cgroup_of() { echo "/sys/fs/cgroup/$ns/$1"; } # ID

prepare set_up
mark_clean
run_cases "$cases/start.sh" "$cases/run.sh" "$cases/run_io.sh" "$cases/tasks.sh" "$guest/cgroup2.sh" "$guest/layers.sh" "$guest/checkpoint.sh" "$cases/end.sh"
