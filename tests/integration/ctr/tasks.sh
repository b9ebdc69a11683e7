# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# ctr tasks: one container that stays, and what is done to it.

sleeper() { ctr run -d "${@:2}" $image "$1" sleep 1000; } # ID FLAG...

# Nobody removes the fifos of a detached exec, so they lie where nobody looks.
exec_detached() { ctr tasks exec -d --fifo-dir $work/fifos "$@"; }

exec_id=0
in_task() { # ID COMMAND...: runs it there
  exec_id=$((exec_id + 1))
  ctr tasks exec --exec-id "e$BASHPID-$exec_id" "$@"
}

test_tasks_ls_and_ps() {
  sleeper task-ps
  matches '^TASK +PID +STATUS' "$(ctr tasks ls)"
  local pid
  pid=$(ctr tasks ls | awk '$1 == "task-ps" {print $2}')
  within 5 prints sleep cat "/proc/$pid/comm"
  exec_detached --exec-id second task-ps sleep 2000
  same 2 "$(ctr tasks ps task-ps | tail -n +2 | wc -l)"
  matches "^$pid " "$(ctr tasks ps task-ps | tail -n +2)"
  matches 'second' "$(ctr tasks ps task-ps)"
  refuses 'not found' ctr tasks ps absent
  remove_container task-ps
}

test_tasks_exec() {
  sleeper task-exec
  prints hello in_task task-exec echo hello
  exits 9 in_task task-exec sh -c 'exit 9'
  cat_runs() { ctr tasks exec --exec-id "look$EPOCHREALTIME" task-exec pidof cat; }
  same 'from outside' "$(echo 'from outside' | held_open cat_runs | in_task task-exec cat)"
  prints 1000:1000 ctr tasks exec --user 1000:1000 --exec-id u task-exec sh -c 'echo $(id -u):$(id -g)'
  prints user ctr tasks exec --user user --exec-id u task-exec id -un
  prints /etc ctr tasks exec --cwd /etc --exec-id w task-exec pwd
  in_task task-exec sh -c 'echo out; echo err >&2' >$work/stdout 2>$work/stderr
  same out,err "$(cat $work/stdout),$(cat $work/stderr)"
  same 1 "$(ctr tasks ps task-exec | tail -n +2 | wc -l)"
  remove_container task-exec
}

test_tasks_exec_in_a_terminal() {
  sleeper task-tty
  matches '^/dev/pts/[0-9]' "$(in_terminal tasks exec -t --exec-id t task-tty sh -c 'tty; sleep 0.3')"
  exits 6 in_terminal tasks exec -t --exec-id t task-tty sh -c 'exit 6'
  remove_container task-tty
}

test_tasks_exec_errors() {
  sleeper task-errors
  refuses 'executable file .*not found' in_task task-errors no-such-command
  refuses 'not found' in_task absent true
  exec_detached --exec-id taken task-errors sleep 1000
  refuses 'already exists' ctr tasks exec --exec-id taken task-errors true
  prints hello in_task task-errors echo hello
  ctr tasks kill -s KILL task-errors
  within 5 task_is task-errors STOPPED
  refuses '.' in_task task-errors true
  remove_container task-errors
}

test_tasks_exec_in_parallel() {
  sleeper task-parallel
  local n pids=()
  for n in 1 2 3 4 5 6 7 8; do
    { exits "$n" ctr tasks exec --exec-id p$n task-parallel sh -c "sleep 0.1; exit $n"; } &
    pids+=($!)
  done
  for n in "${pids[@]}"; do wait "$n"; done
  same 1 "$(ctr tasks ps task-parallel | tail -n +2 | wc -l)"
  remove_container task-parallel
}

test_tasks_pause_and_resume() {
  ctr run -d --mount type=bind,src=$work/out,dst=/out,options=rbind:rw $image task-pause \
    sh -c 'while :; do date +%s%N >/out/clock; usleep 10000; done'
  within 5 test -s $work/out/clock
  ctr tasks pause task-pause
  task_is task-pause PAUSED
  local stood
  stood=$(cat $work/out/clock)
  sleep 0.3
  prints "$stood" cat $work/out/clock
  refuses '.' ctr tasks exec --exec-id frozen task-pause true
  ctr tasks resume task-pause
  task_is task-pause RUNNING
  clock_moved() { [ "$stood" != "$(cat $work/out/clock)" ]; }
  within 5 clock_moved
  remove_container task-pause
}

test_tasks_kill() {
  ctr run -d --log-uri file://$work/kill.log $image task-kill sh -c 'trap "echo usr1" USR1; trap "exit 3" TERM; echo ready; while :; do sleep 0.05; done'
  within 5 file_has $work/kill.log ready
  ctr tasks kill -s SIGUSR1 task-kill
  within 5 file_has $work/kill.log usr1
  ctr tasks kill task-kill
  within 5 task_is task-kill STOPPED
  refuses 'not found|already finished' ctr tasks kill -s KILL task-kill
  matches 'exit code 3' "$(ctr tasks rm task-kill 2>&1)"
  ctr containers rm task-kill
}

test_tasks_kill_of_one_process() {
  sleeper task-signal
  exec_detached --exec-id victim task-signal sleep 1000
  ctr tasks kill -s KILL --exec-id victim task-signal
  one_process() { same 1 "$(ctr tasks ps task-signal | tail -n +2 | wc -l)"; }
  within 5 one_process
  task_is task-signal RUNNING
  ctr tasks kill -a -s KILL task-signal
  within 5 task_is task-signal STOPPED
  matches 'exit code 137' "$(ctr tasks rm task-signal 2>&1)"
  ctr containers rm task-signal
}

test_tasks_rm() {
  sleeper task-rm
  refuses 'must be stopped|not stopped|running' ctr tasks rm task-rm
  refuses 'must be deleted|has running task|cannot delete|running' ctr containers rm task-rm
  task_is task-rm RUNNING
  ctr tasks rm -f task-rm || true
  refuses 'not found' ctr tasks rm task-rm
  ctr containers rm task-rm
  refuses 'not found' ctr containers info task-rm
}

test_tasks_start_of_a_created_container() {
  ctr containers create $image task-start echo started
  prints task-start ctr containers ls -q
  prints '' ctr tasks ls -q
  prints started ctr tasks start task-start
  prints started ctr tasks start task-start
  ctr containers rm task-start
}

test_tasks_attach() {
  rm -f $work/out/stop
  ctr run -d --mount type=bind,src=$work/out,dst=/out,options=rbind:ro $image task-attach \
    sh -c 'until [ -e /out/stop ]; do echo attached; sleep 0.1; done; exit 4'
  exits 4 ctr tasks attach task-attach >$work/attach.out &
  within 10 file_has $work/attach.out attached
  touch $work/out/stop
  wait $!
  remove_container task-attach
}

test_tasks_metrics() {
  sleeper task-metrics
  local text
  text=$(ctr tasks metrics task-metrics)
  matches 'task-metrics' "$text"
  matches 'memory' "$text"
  matches '[1-9][0-9]+' "$(ctr tasks metrics --format json task-metrics | jq '.. | objects | (.memory.usage.usage? // .memory.usage?) | numbers')"
  refuses 'not found' ctr tasks metrics absent
  remove_container task-metrics
}

runtime_checkpoints() { [ "$OCI" != crun ] || crun --version | grep -q +CRIU; }

criu_works() { criu check >/dev/null 2>&1; }

# checkpointed ID COMMAND...: with what CRIU has to say if that fails
checkpointed() {
  local id=$1
  shift
  if "$@"; then return; fi
  grep -h -E 'Error|Warn' "$daemon_state/io.containerd.runtime.v2.task/$ns/$id/criu-dump.log" || true
  return 1
}

test_tasks_checkpoint() {
  criu_works || skip "criu does not work on this kernel: $(criu check 2>&1 | grep -m 1 Error)"
  runtime_checkpoints || skip "this crun is built without CRIU"
  sleeper task-checkpoint
  checkpointed task-checkpoint ctr tasks checkpoint --exit task-checkpoint
  local dump
  dump=$(ctr images ls -q | grep /task-checkpoint:)
  within 5 task_is task-checkpoint STOPPED
  remove_container task-checkpoint
  ctr images rm --sync "$dump"
}
