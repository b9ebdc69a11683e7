# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What a run must not leave behind. mark_clean is called before the first case; leftovers lists what came since.

below() { find "$@" 2>/dev/null; }

mounts_now() { cut -d ' ' -f 5 /proc/self/mountinfo | sort; }

# Of this PID namespace, without the daemon, the running case, its watchdog and the script itself.
processes_now() {
  ps -eo pgid=,pid=,args= | awk -v group=$case_group -v daemon="$(daemon_pid)" '$1 != group && $2 != daemon {$1 = ""; print}' |
    grep -v -F -e "$0" -e "sleep $case_seconds" | sort
}

mark_clean() {
  mounts_now >$work/mounts.before
  processes_now >$work/processes.before
  daemon_fds >$work/fds.before
}

leftovers() {
  mounts_now | comm -13 $work/mounts.before - | sed 's/^/mount: /'
  processes_now | comm -13 $work/processes.before - | sed 's/^/process: /'
  below /sys/fs/cgroup -mindepth 3 -type d -path "*/$ns*/*" | sed 's/^/cgroup: /'
  below /run/netns -mindepth 1 | sed 's/^/netns: /'
  below $bundles $daemon_root/io.containerd.runtime.v2.task -mindepth 2 -maxdepth 2 | sed 's/^/bundle: /'
  below /run/containerd/runc /run/runc -mindepth 2 -maxdepth 2 | sed 's/^/runtime state: /'
  below /run/containerd/fifo /run/gantry/fifo /run/containerd/s $daemon_state/s -mindepth 1 | sed 's/^/socket or fifo: /'
  below $blobs $ingests -mindepth 1 -maxdepth 1 | sed 's/^/content: /'
  below $overlay $native -mindepth 1 -maxdepth 1 | sed 's/^/snapshot: /'
  below $work/tmp -mindepth 1 | sed 's/^/temporary file: /'
}

nothing_left() { local left; left=$(leftovers); [ -z "$left" ] || fail "$left"; }

# fds_settle: the daemon holds no more descriptors than when it was marked clean, give or take what it opens lazily.
fds_settle() {
  local before now
  before=$(cat $work/fds.before)
  now=$(daemon_fds)
  [ "$now" -le $((before + ${1:-4})) ] || fail "descriptors: $before before, $now now: $(ls -l "/proc/$(daemon_pid)/fd")"
}
