# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the scripts of this folder share.

guest=$(realpath "$(dirname "${BASH_SOURCE[0]}")")

# A machine without KVM is some ten times as slow, and shares the host's processors.
patience=6 slower=6 case_seconds=240

set_up() {
  "$lib/make-image" --ref $image --oci $image_tar >$work/image.digest
  start_daemon
}

# What runs by default: the cases that meet cgroups, mounts and process trees.
default_cases='run_exit_status|run_memory|run_over|run_cpus|run_user_namespace|run_terminal$|run_streams|output_is_complete|tasks_|cgroup2_|overlay_|checkpoint_'
