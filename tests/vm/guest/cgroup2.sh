# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the files of a cgroup of version 2 show of a container, and what the daemon says of them. cgroup_of ID is the
# folder of a container's cgroup.

of_cgroup() { cat "$(cgroup_of "$1")/$2"; } # ID FILE

task_pid() { ctr tasks ls | awk -v id="$1" '$1 == id {print $2}'; } # ID

metric() { ctr tasks metrics --format json "$1" | jq -r "$2"; } # ID FILTER

test_cgroup2_of_a_container() {
  sleeper v2-place
  local pid
  pid=$(task_pid v2-place)
  same "$pid" "$(of_cgroup v2-place cgroup.procs)"
  exec_detached --exec-id second v2-place sleep 2000
  same 2 "$(of_cgroup v2-place cgroup.procs | wc -l)"
  matches "[[:space:]]$pid " "$(ctr tasks ps v2-place)"
  same 3 "$(ctr tasks ps v2-place | wc -l)"
  remove_container v2-place
  [ ! -e "$(cgroup_of v2-place)" ] || fail "its cgroup is still there"
}

test_cgroup2_limits_and_metrics() {
  ctr run -d --memory-limit 67108864 --cpus 0.5 $image v2-metrics sh -c 'x=0; while [ $x -lt 20000 ]; do x=$((x + 1)); done; sleep 1000'
  same 67108864 "$(of_cgroup v2-metrics memory.max)"
  same 67108864 "$(metric v2-metrics .memory.usage_limit)"
  same "$(of_cgroup v2-metrics pids.current)" "$(metric v2-metrics .pids.current)"
  used_cpu() { [ "$(metric v2-metrics '.cpu.usage_usec // 0')" -gt 1000 ]; }
  within 10 used_cpu
  [ "$(metric v2-metrics '.cpu.nr_periods // 0')" -gt 0 ] || fail "no period of CPU bandwidth"
  [ "$(metric v2-metrics .memory.usage)" -gt 0 ]
  [ "$(metric v2-metrics .memory.anon)" -gt 0 ]
  remove_container v2-metrics
}

test_cgroup2_limit_of_processes() {
  make_rootfs
  ctr oci spec | jq --arg path $work/rootfs --arg cgroup "$(jq -rn --arg ns "$ns" '"/" + $ns + "/v2-pids"')" '.root.path = $path
    | .linux.cgroupsPath = $cgroup | .linux.resources.pids = {limit: 5} | .process.terminal = false
    | .process.args = ["/bin/sh", "-c", "for n in 1 2 3 4 5 6 7 8; do sleep 1000 & done; wait"]' >$work/pids.json
  ctr run -d --config $work/pids.json v2-pids
  same 5 "$(cat "/sys/fs/cgroup/$ns/v2-pids/pids.max")"
  same 5 "$(metric v2-pids .pids.limit)"
  hit_the_limit() { [ "$(awk '{print $2}' "/sys/fs/cgroup/$ns/v2-pids/pids.events")" -gt 0 ]; }
  within 10 hit_the_limit
  remove_container v2-pids
}

test_cgroup2_pause_is_the_freezer() {
  sleeper v2-pause
  ctr tasks pause v2-pause
  same 1 "$(of_cgroup v2-pause cgroup.freeze)"
  file_has "$(cgroup_of v2-pause)/cgroup.events" '^frozen 1'
  task_is v2-pause PAUSED
  same 2 "$(ctr tasks ps v2-pause | wc -l)"
  ctr tasks resume v2-pause
  file_has "$(cgroup_of v2-pause)/cgroup.events" '^frozen 0'
  ctr tasks pause v2-pause
  remove_container v2-pause # frozen as it is
  [ ! -e "$(cgroup_of v2-pause)" ] || fail "its cgroup is still there"
}

# One that is killed for want of memory while another lives: the event, and the counters in the metrics.
test_cgroup2_out_of_memory() {
  local events
  ctr_events >$work/oom.events &
  events=$!
  ctr run -d --memory-limit 33554432 $image v2-oom sh -c 'trap "" TERM
    (exec dd if=/dev/zero of=/dev/null bs=100M count=1) 2>/dev/null; sleep 1000'
  within 20 file_has "$(cgroup_of v2-oom)/memory.events" '^oom_kill 1'
  within 5 file_has $work/oom.events '/tasks/oom.*v2-oom'
  within 5 task_is v2-oom RUNNING
  same 1 "$(metric v2-oom .memory_events.oom_kill)"
  same 1 "$(awk '$1 == "oom_kill" {print $2}' "$(cgroup_of v2-oom)/memory.events")"
  sleep 0.5
  same 1 "$(grep -c '/tasks/oom.*v2-oom' $work/oom.events)"
  kill $events
  remove_container v2-oom
}

# The whole container at once: its first process is the one that is killed.
test_cgroup2_out_of_memory_of_the_first_process() {
  local events
  ctr_events >$work/oom-first.events &
  events=$!
  ctr run -d --memory-limit 33554432 $image v2-oom-first dd if=/dev/zero of=/dev/null bs=100M count=1
  within 20 task_is v2-oom-first STOPPED
  within 5 file_has $work/oom-first.events '/tasks/oom.*v2-oom-first'
  within 5 file_has $work/oom-first.events '/tasks/exit.*v2-oom-first'
  matches 'exit code 137' "$(ctr tasks rm v2-oom-first 2>&1)"
  ctr containers rm v2-oom-first
  kill $events
}

# What a container makes below its own cgroup goes with it.
test_cgroup2_nested_cgroups() {
  sleeper v2-nested
  local folder
  folder=$(cgroup_of v2-nested)
  mkdir "$folder/inner"
  exec_detached --exec-id inner v2-nested sleep 2000
  tail -n 1 "$folder/cgroup.procs" >"$folder/inner/cgroup.procs"
  same 3 "$(ctr tasks ps v2-nested | wc -l)"
  ctr tasks kill -a -s KILL v2-nested
  within 5 task_is v2-nested STOPPED
  remove_container v2-nested
  [ ! -e "$folder" ] || fail "its cgroup is still there"
}
