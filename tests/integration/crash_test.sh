#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon is killed, shims are killed or frozen: containers go on, the truth is told, nothing stays behind.
# SEED repeats the random moments of an earlier run.
. "$(dirname "$0")/lib/harness.sh"
label="crash, shim $SHIM"
case_seconds=150

image=docker.io/library/busybox:1
remote=$registry/busybox:1
seed=${SEED:-$((RANDOM * 32768 + RANDOM))}

if [[ $DAEMON = containerd* ]]; then
  known_failures=(
    [test_exit_while_the_daemon_is_away]="it forgets the exit status"
    [test_frozen_shim_delays_nobody]="listing waits for the frozen shim"
    [test_frozen_shim_does_not_delay_the_restart]="it waits for the frozen shim before it serves"
    [test_kills_at_random_moments]="half-made containers stay"
  )
fi

set_up() {
  "$lib/make-image" --ref $image --oci $work/busybox.tar
  "$lib/make-image" --ref example.org/crash:1 --payload 8 --oci $work/crash.tar
  start_registry
  "$lib/make-image" --ref $remote --payload 7 --push
  begin
}

begin() { # a daemon with an image, on a root that holds nothing else
  rm -rf $work/signals
  mkdir -p $work/signals
  start_daemon
  ctr images import "${local_flag[@]}" $work/busybox.tar
}

after_failure() { # away with all, by force
  local cgroups=() cgroup
  mapfile -t cgroups < <(find /sys/fs/cgroup -depth -type d -path "*/$ns/*")
  pgrep -f containerd-shim | xargs -r kill -KILL
  for cgroup in "${cgroups[@]}"; do xargs -r kill -KILL <"$cgroup/cgroup.procs"; done
  kill_daemon
  awk '$5 ~ "^/run/(daemon|work/root)" {print $5}' /proc/self/mountinfo | sort -r | xargs -r umount -l
  for cgroup in "${cgroups[@]}"; do within 5 rmdir "$cgroup"; done
  rm -rf $daemon_root $daemon_state /run/containerd/{s,runc,fifo} $work/fifos
  begin
}

prepare set_up
mark_clean

run_detached() { ctr run -d --fifo-dir $work/fifos "$@"; } # whose fifos are ours to remove

signals_mount=(--mount "type=bind,src=$work/signals,dst=/signals,options=rbind:ro")

# A container that runs until the file is there, then exits with 5.
waiter() { # ID
  run_detached "${signals_mount[@]}" $image "$1" \
    sh -c "while [ ! -e /signals/$1 ]; do sleep 0.02; done; exit 5"
}

sleeper() { run_detached $image "$1" sleep 1000; }

task_pid() { ctr tasks ls | awk -v id="$1" '$1 == id {print $2}'; }

shim_pid() { pgrep -f -- "containerd-shim-(runc|gantry)-v2 .*-id $1( |\$)" | head -n 1; } # ID
no_shim() { [ -z "$(shim_pid "$1")" ]; } # ID

exit_status_told() { matches "exit code $2" "$(ctr tasks rm "$1" 2>&1)"; } # ID STATUS

# A case that fails leaves nothing to the next: see after_failure.
test_container_outlives_the_daemon() {
  waiter outlives
  local pid
  pid=$(task_pid outlives)
  kill_daemon
  [ -d "/proc/$pid" ]
  start_daemon
  task_is outlives RUNNING
  same "$pid" "$(task_pid outlives)"
  prints hello ctr tasks exec --exec-id e outlives echo hello
  touch $work/signals/outlives
  within 5 task_is outlives STOPPED
  exit_status_told outlives 5
  ctr containers rm outlives
}

test_stop_leaves_containers_running() {
  waiter stopped
  stop_daemon
  start_daemon
  task_is stopped RUNNING
  touch $work/signals/stopped
  within 5 task_is stopped STOPPED
  exit_status_told stopped 5
  ctr containers rm stopped
}

test_exit_while_the_daemon_is_away() {
  waiter away
  local pid
  pid=$(task_pid away)
  kill_daemon
  touch $work/signals/away
  within 5 gone "$pid"
  start_daemon
  within 5 task_is away STOPPED
  exit_status_told away 5
  ctr containers rm away
}

test_exit_of_an_exec_while_the_daemon_is_away() {
  run_detached "${signals_mount[@]}" $image away-exec sleep 1000
  ctr tasks exec -d --fifo-dir $work/fifos --exec-id short away-exec sh -c 'while [ ! -e /signals/short ]; do sleep 0.02; done'
  local pid
  pid=$(ctr tasks ps away-exec | awk '/short/ {print $1}')
  kill_daemon
  touch $work/signals/short
  within 5 gone "$pid"
  start_daemon
  same 1 "$(ctr tasks ps away-exec | tail -n +2 | wc -l)"
  prints hello ctr tasks exec --exec-id after away-exec echo hello
  remove_container away-exec
}

test_what_was_answered_is_kept() {
  collect
  local blob
  blob=sha256:$(echo kept | sha256sum | cut -d ' ' -f 1)
  # The container's label keeps the blob from its first moment: without it a collection may come first.
  ctr containers create --label containerd.io/gc.ref.content="$blob" $image kept true
  ctr leases create --id kept-lease
  ctr namespaces create "$ns-kept" colour=blue
  echo kept | ctr content ingest kept-blob
  ctr content label "$blob" colour=blue
  kill_daemon
  start_daemon
  prints kept ctr containers ls -q
  prints kept-lease ctr leases ls -q
  matches "$ns-kept +colour=blue" "$(ctr namespaces ls)"
  same kept "$(ctr content get "$blob")"
  matches "$blob.*colour=blue" "$(ctr content ls)"
  ctr content rm "$blob"
  ctr containers rm kept
  ctr leases rm kept-lease
  ctr namespaces rm "$ns-kept"
}

# When no shim is left: a killed one cannot remove its sockets. Of ours, gantryd sees to that.
remove_sockets() { if [ "$DAEMON $SHIM" != "gantryd gantry" ]; then rm -f /run/containerd/s/*; fi; }

test_killed_shim_is_noticed() {
  sleeper orphaned
  sleeper neighbour
  local pid events=$work/orphan-events subscriber
  pid=$(task_pid orphaned)
  ctr_events 'topic=="/tasks/exit"' >$events &
  subscriber=$!
  subscribed() { ctr tasks exec --exec-id "p$EPOCHREALTIME" neighbour true; file_has $events neighbour; }
  within 5 subscribed
  kill -KILL "$(shim_pid orphaned)"
  within $slower file_has $events '"container_id":"orphaned".*"exit_status":137'
  within $slower gone "$pid"
  lacks 'orphaned +[0-9]+ +RUNNING' "$(ctr tasks ls)"
  [ ! -e "$bundles/$ns/orphaned" ]
  kill $subscriber
  prints hello ctr tasks exec --exec-id e neighbour echo hello
  ctr containers rm orphaned
  remove_container neighbour
  remove_sockets
}

freeze() { kill -STOP "$(shim_pid "$1")"; } # ID

thaw_and_remove() { # ID...
  local id
  for id; do
    kill -CONT "$(shim_pid "$id")"
    within 10 remove_container "$id"
  done
}

test_frozen_shim_delays_nobody() {
  sleeper frozen
  sleeper free
  freeze frozen
  in_time 1 prints hello answers tasks exec --exec-id e free echo hello
  in_time 2 prints hello answers run --rm $image other echo hello
  in_time 1 answers containers ls
  in_time 1 answers images ls
  in_time 1 answers tasks ls
  thaw_and_remove frozen
  remove_container free
}

test_call_to_a_frozen_shim_ends() {
  sleeper stuck
  freeze stuck
  local status=0
  timeout 40 "$ctr_binary" -a $socket -n "$ns" tasks pause stuck 2>$work/stuck.err || status=$?
  same 1 $status
  matches 'deadline|timed out|unavailable' "$(cat $work/stuck.err)"
  thaw_and_remove stuck
}

test_frozen_shim_does_not_delay_the_restart() {
  sleeper frozen
  sleeper free
  freeze frozen
  kill_daemon
  in_time 2 start_daemon
  in_time 2 prints hello answers tasks exec --exec-id e free echo hello
  thaw_and_remove frozen
  remove_container free
}

# One step of the life of containers and images, in the background, until the daemon is killed under it.
step() { # NUMBER
  trap - ERR # it is meant to fail
  local id=random-$1 fifos="--fifo-dir $work/fifos"
  case $(($1 % 7)) in
    0) ctr containers create $image "$id" sleep 1000 ;;
    1) run_detached $image "$id" sleep 1000 ;;
    2) ctr tasks exec -d $fifos --exec-id "e$1" base sleep 1000 ;;
    3) ctr tasks exec $fifos --exec-id "e$1" base true ;;
    4) ctr run $fifos $image "$id" true && ctr tasks rm "$id"; ctr containers rm "$id" ;;
    5) ctr images import "${local_flag[@]}" $work/crash.tar && ctr images rm --sync example.org/crash:1 ;;
    6) ctr images pull "${local_flag[@]}" --plain-http $remote && ctr images rm --sync $remote ;;
  esac
}

# What a step's client was told before the kill is so after the restart.
answered() { # NUMBER
  local id=random-$1
  case $(($1 % 7)) in
    0) matches "(^|$nl)$id($nl|\$)" "$(ctr containers ls -q)" ;;
    1) task_is "$id" RUNNING ;;
    2) matches "[^a-z0-9]e$1[^0-9]" "$(ctr tasks ps base)" ;;
    3) lacks "[^a-z0-9]e$1[^0-9]" "$(ctr tasks ps base)" ;;
    4) lacks "(^|$nl)$id($nl|\$)" "$(ctr containers ls -q)" ;;
    5) lacks example.org/crash:1 "$(ctr images ls -q)" ;;
    6) lacks "$remote" "$(ctr images ls -q)" ;;
  esac
}

# The create goes on without the daemon that asked for it, and the next one undoes it.
test_kill_within_a_create() {
  local client
  cat >$work/slow-runc <<EOF
#!/bin/sh
case " \$* " in *" create "*) touch $work/creating; sleep 1 ;; esac
exec runc "\$@"
EOF
  chmod +x $work/slow-runc
  (trap - ERR; run_detached --runc-binary $work/slow-runc $image half sleep 1000) &
  client=$!
  within 10 test -e $work/creating
  kill_daemon
  start_daemon
  within 60 gone $client
  wait $client && fail "ran without its daemon"
  lacks half "$(ctr tasks ls -q)"
  within 10 no_shim half
  ctr containers rm half
  sleeper half
  remove_container half
  rm $work/creating $work/slow-runc
}

test_kills_at_random_moments() {
  local round client status nl=$'\n'
  explain_seed() { echo "SEED=$seed, round $round"; }
  RANDOM=$((seed % 32768))
  sleeper base
  for round in $(seq 50); do
    explain_seed
    step "$round" &
    client=$!
    sleep "$(printf '0.%03d' $((RANDOM % 250)))"
    kill_daemon
    start_daemon
    within 60 gone $client
    status=0
    wait $client || status=$?
    if [ $status = 0 ]; then answered "$round"; fi
  done
  task_is base RUNNING
  remove_all "$ns"
  prints '' ctr tasks ls -q
  rm -rf $work/fifos
  remove_sockets
  within 10 nothing_left
  ctr images import "${local_flag[@]}" $work/busybox.tar
}

test_last_nothing_is_left() {
  remove_all "$ns"
  rm -rf $work/fifos
  within 5 nothing_left
}

test_last_descriptors_are_closed() { within 5 fds_settle 6; } # it is another process than at first

test_last_daemon_stops() {
  stop_daemon
  same '' "$(sanitizer_reports)"
}

run_cases "$0"
