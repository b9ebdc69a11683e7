#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Debian's dockerd 20.10, unmodified, with the daemon under test as its containerd.
. "$(dirname "$0")/lib/harness.sh"
. "$lib/dockerd.sh"
label="dockerd, $(standing)"

image=$registry/busybox:1
after_failure() { docker ps -aq | xargs -r /usr/bin/docker -H unix:///run/docker.sock rm -f; }

set_up() {
  start_registry
  "$lib/make-image" --ref $image --push
  start_daemon
  start_dockerd
}
prepare set_up
mark_clean

test_first_pull() {
  docker pull $image
  matches "$registry/busybox" "$(docker images --format '{{.Repository}}')"
  matches 'containerd.*gantry|containerd' "$(docker version --format '{{range .Server.Components}}{{.Name}} {{.Version}} {{end}}')"
}

test_run_rm() {
  prints hello docker run --rm $image echo hello
  prints 'second layer' docker run --rm $image cat /etc/layer2
  exits 42 docker run --rm $image sh -c 'exit 42'
  same 'from outside' "$(echo 'from outside' | docker run --rm -i $image cat)"
  refuses 'executable file .*not found' docker run --rm $image no-such-command
  prints '' docker ps -aq
}

test_run_many_at_once() {
  local n pids=()
  for n in 1 2 3 4 5 6; do
    { exits "$n" docker run --rm $image sh -c "exit $n"; } &
    pids+=($!)
  done
  for n in "${pids[@]}"; do wait "$n"; done
}

test_run_in_a_terminal() {
  [ -p $work/silence ] || mkfifo $work/silence # a terminal where nobody types
  local text
  text=$(script -qefc "/usr/bin/docker -H unix:///run/docker.sock run --rm -t $image sh -c 'tty; stty size'" /dev/null <>$work/silence | tr -d '\r')
  matches '^/dev/pts/0' "$text"
}

test_run_with_user_and_mounts() {
  mkdir -p $work/data
  chmod 777 $work/data
  prints 1000:1000 docker run --rm -u 1000:1000 -v $work/data:/data $image sh -c 'touch /data/made; echo $(id -u):$(id -g)'
  same 1000 "$(stat -c %u $work/data/made)"
  refuses 'Read-only' docker run --rm --read-only $image touch /new
}

test_run_published_port() {
  docker run -d --name web -p 127.0.0.1:8080:80 $image sh -c 'mkdir /www; echo served >/www/index.html; httpd -f -p 80 -h /www' >/dev/null
  fetched() { [ "$(curl -fsS http://127.0.0.1:8080/)" = served ]; }
  within 5 fetched
  matches '172.31.255' "$(inspect web .NetworkSettings.IPAddress)"
  remove web
}

test_memory_limit_and_update() {
  sleeper limited -m 64m
  local id
  id=$(inspect limited .Id)
  same 67108864 "$(cgroup_value memory memory.limit_in_bytes memory.max "$id")"
  docker update -m 128m --memory-swap 256m limited >/dev/null
  same 134217728 "$(cgroup_value memory memory.limit_in_bytes memory.max "$id")"
  docker update --cpus 0.5 limited >/dev/null
  matches '^50000( 100000)?$' "$(cgroup_value cpu cpu.cfs_quota_us cpu.max "$id")"
  remove limited
}

test_oom_kill_is_reported() {
  exits 137 docker run --name greedy -m 16m --memory-swap 16m $image sh -c 'x=x; while :; do x=$x$x; done'
  prints 'true 137' inspect greedy '.State.OOMKilled}} {{.State.ExitCode'
  same 'false 3' "$(docker run --name modest $image sh -c 'exit 3' || inspect modest '.State.OOMKilled}} {{.State.ExitCode')"
  remove greedy modest
}

test_restart_policy() {
  docker run -d --name failing --restart on-failure:2 $image sh -c 'exit 1' >/dev/null
  gave_up() { [ "$(inspect failing '.State.Status}} {{.RestartCount')" = 'exited 2' ]; }
  within 15 gave_up
  sleeper lasting --restart always
  local before
  before=$(inspect lasting .State.Pid)
  kill -KILL "$before"
  restarted() { state_is lasting running && [ "$(inspect lasting .State.Pid)" != "$before" ]; }
  within 5 restarted
  remove failing lasting
}

test_exec() {
  sleeper busy
  prints hello docker exec busy echo hello
  exits 5 docker exec busy sh -c 'exit 5'
  same 'from outside' "$(echo 'from outside' | docker exec -i busy cat)"
  prints 1000 docker exec -u user busy id -u
  prints set docker exec -e GIVEN=set busy sh -c 'echo $GIVEN'
  docker exec -d busy sleep 2000
  two() { [ "$(docker top busy | tail -n +2 | wc -l)" = 2 ]; }
  within 5 two
  matches 'executable file .*not found' "$(docker exec busy no-such-command 2>&1 || true)"
  remove busy
}

test_health_check() {
  sleeper healthy --health-cmd 'test -e /etc/layer2' --health-interval 200ms --health-retries 1
  is_healthy() { [ "$(inspect healthy .State.Health.Status)" = "$1" ]; }
  within 10 is_healthy healthy
  docker exec healthy rm /etc/layer2
  within 10 is_healthy unhealthy
  remove healthy
}

test_logs_and_attach() {
  docker create --name talker $image sh -c 'echo out; echo err >&2' >/dev/null
  prints out docker start -a talker 2>$work/talker.err
  same err "$(cat $work/talker.err)"
  prints 0 docker wait talker
  prints out docker logs talker 2>/dev/null
  same err "$(docker logs talker 2>&1 >/dev/null)"
  docker run -d -i --name listener $image sh -c 'read line; echo heard $line; sleep 0.5' >/dev/null
  same 'heard this' "$({ echo this; sleep 1; } | docker attach listener)"
  same 20000 "$(docker run --rm $image seq 20000 | wc -l)"
  remove talker listener
}

test_top_and_stats() {
  sleeper shown -m 64m
  matches 'sleep 1000' "$(docker top shown)"
  matches '^[0-9.]+[KM]iB / 64MiB' "$(docker stats --no-stream --format '{{.MemUsage}}' shown)"
  prints 1 docker stats --no-stream --format '{{.PIDs}}' shown
  remove shown
}

test_pause_and_unpause() {
  sleeper halted
  docker pause halted >/dev/null
  state_is halted paused
  refuses 'paused' docker exec halted true
  docker unpause halted >/dev/null
  state_is halted running
  prints hello docker exec halted echo hello
  remove halted
}

test_stop_start_restart_kill() {
  docker run -d --name cycled $image sh -c 'trap "exit 7" TERM; while :; do sleep 0.05; done' >/dev/null
  docker stop -t 5 cycled >/dev/null
  prints 'exited 7' inspect cycled '.State.Status}} {{.State.ExitCode'
  docker start cycled >/dev/null
  state_is cycled running
  docker restart -t 1 cycled >/dev/null
  state_is cycled running
  docker kill -s KILL cycled >/dev/null
  prints 137 docker wait cycled
  refuses 'already in use' docker run --name cycled $image true
  remove cycled
}

test_events() {
  /usr/bin/docker -H unix:///run/docker.sock events --format '{{.Action}}' --filter type=container >$work/docker-events &
  local subscriber=$!
  subscribed() { docker run --rm $image true; file_has $work/docker-events destroy; }
  within 10 subscribed
  : >$work/docker-events
  docker run --name told $image sh -c 'exit 1' || true
  remove told
  within 5 file_has $work/docker-events destroy
  kill $subscriber
  same 'create start die destroy' "$(grep -aoE 'create|start|die|destroy' $work/docker-events | tr '\n' ' ' | sed 's/ $//')"
}

test_live_restore() {
  sleeper survivor
  local pid
  pid=$(inspect survivor .State.Pid)
  kill -KILL "$(cat $work/dockerd.pid)"
  within 5 gone "$(cat $work/dockerd.pid)"
  rm -f /run/docker.pid
  start_dockerd
  prints "$pid" inspect survivor .State.Pid
  prints hello docker exec survivor echo hello
  docker kill survivor >/dev/null
  within 5 state_is survivor exited
  remove survivor
}

test_restart_of_the_daemon_below() {
  sleeper steady
  local pid
  pid=$(inspect steady .State.Pid)
  kill_daemon
  start_daemon
  serves_again() { [ "$(docker exec steady echo hello)" = hello ]; }
  within 15 serves_again
  prints "$pid" inspect steady .State.Pid
  kill -KILL "$pid"
  within 10 state_is steady exited
  prints 137 inspect steady .State.ExitCode
  remove steady
}

test_last_clean_up() {
  prints '' docker ps -aq
  docker rmi -f $image >/dev/null
  local pid
  pid=$(cat $work/dockerd.pid)
  kill -TERM "$pid"
  within 20 gone "$pid"
  ip link delete docker0
  local api_ns
  for api_ns in moby plugins.moby; do
    same '' "$("$ctr_binary" -a $socket -n $api_ns containers ls -q)"
    same '' "$("$ctr_binary" -a $socket -n $api_ns leases ls -q)"
  done
  same '' "$(find /run/docker/runtime-runc -mindepth 2 2>/dev/null)"
}

test_last_nothing_is_left() { within 5 nothing_left; }

test_last_daemon_stops() {
  within 5 fds_settle 6 # it is another process than at first
  stop_daemon
  same '' "$(sanitizer_reports)"
}

run_cases "$0"
