# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# ctr sandboxes, with the shim that serves them, and with one that does not.

sandbox_bundles=$daemon_state/io.containerd.sandbox.controller.v1.shim

with_sandboxes() {
  [ "$CTR" = 2.4 ] || skip "ctr $CTR has no sandboxes that shims keep"
  [ "$DAEMON" != containerd-1.6 ] || skip "$DAEMON has no sandboxes"
  echo '{"ociVersion": "1.0.2", "linux": {"namespaces": [{"type": "ipc"}]}}' >$work/pod.json
}

# sandbox_shim is the pid of the shim that serves sandbox ID.
sandbox_shim() { pgrep -f -- "-namespace $ns -id $1 " | head -n 1; }
no_sandbox_bundle() { [ ! -e "$sandbox_bundles/$ns/$1" ]; } # ID

test_sandboxes_life() {
  local pid
  with_sandboxes
  [ "$SHIM" = gantry ] || skip "shim $SHIM serves no sandboxes"
  same pod "$(ctr sandboxes create $work/pod.json pod)"
  matches 'pod +.*io.containerd.runc.v2' "$(ctr sandboxes list)"
  same 0 "$(ctr sandboxes list --filters id==other | tail -n +2 | wc -l)"
  refuses 'already exists' ctr sandboxes create $work/pod.json pod
  pid=$(sandbox_shim pod)
  ctr run -d --null-io --sandbox pod $image member sleep 1000
  same "$pid" "$(ps -o ppid= "$(ctr tasks ls | awk '$1 == "member" {print $2}')" | tr -d ' ')"
  ctr tasks kill -s KILL member
  ctr tasks rm member >/dev/null || true
  ctr containers rm member
  [ -e "/proc/$pid" ] # the sandbox keeps its shim
  ctr sandboxes rm pod
  same 0 "$(ctr sandboxes list | tail -n +2 | wc -l)"
  within 10 gone "$pid"
  within 10 no_sandbox_bundle pod
}

test_sandboxes_survive_the_daemon() {
  local pid
  with_sandboxes
  [ "$SHIM" = gantry ] || skip "shim $SHIM serves no sandboxes"
  ctr sandboxes create $work/pod.json pod
  pid=$(sandbox_shim pod)
  kill_daemon
  start_daemon
  [ -e "/proc/$pid" ]
  ctr sandboxes rm pod
  within 10 gone "$pid"
  within 10 no_sandbox_bundle pod
}

test_sandboxes_of_a_killed_shim() {
  local pid
  with_sandboxes
  [ "$SHIM" = gantry ] || skip "shim $SHIM serves no sandboxes"
  ctr sandboxes create $work/pod.json pod
  pid=$(sandbox_shim pod)
  kill -KILL "$pid"
  within 10 no_sandbox_bundle pod
  ctr sandboxes rm --force pod
  same 0 "$(ctr sandboxes list | tail -n +2 | wc -l)"
  rm -f /run/containerd/s/* # no shim is left, and a killed one cannot remove its socket
}

test_sandboxes_need_a_shim_for_them() {
  with_sandboxes
  [ "$SHIM" != gantry ] || skip "shim $SHIM serves sandboxes"
  refuses 'not implemented|[Uu]nimplemented' ctr sandboxes create $work/pod.json pod
  within 10 no_sandbox_bundle pod
  ctr sandboxes rm --force pod
}

# The kernel writes into a thread's memory when it wakes on another core.
test_sandboxes_move_between_cores() {
  local pid keeper core
  with_sandboxes
  [ "$SHIM" = gantry ] || skip "shim $SHIM serves no sandboxes"
  [ "$(nproc)" -gt 1 ] || skip "there is one core"
  ctr sandboxes create $work/pod.json pod
  pid=$(sandbox_shim pod)
  keeper=$(pgrep -P "$pid")
  for core in 0 1 0 1; do
    taskset -p -c $core "$keeper" >/dev/null
    kill -STOP "$keeper"
    kill -CONT "$keeper"
    sleep 0.1
  done
  same S "$(ps -o stat= "$keeper" | cut -c 1)"
  ctr sandboxes rm pod
  within 10 gone "$pid"
  within 10 no_sandbox_bundle pod
}
