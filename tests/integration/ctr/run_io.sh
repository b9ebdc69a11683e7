# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# ctr run: standard streams, terminals, detaching and logs.

in_terminal() { # ARG...: ctr in a terminal where nobody types
  [ -p $work/silence ] || mkfifo $work/silence
  script -qefc "$(printf '%q ' "$ctr_binary" -a $socket -n "$ns" "$@")" /dev/null <>$work/silence | tr -d '\r'
}

# ctr forgets an end of its input that comes before the process is there.
held_open() { # CONDITION...: hands its input on, with an end when the condition holds
  cat
  within 30 "$@"
  sleep 0.1
}

test_run_streams() {
  ctr run --rm $image io-streams sh -c 'echo out; echo err >&2' >$work/stdout 2>$work/stderr
  prints out cat $work/stdout
  prints err cat $work/stderr
  same 'from outside' "$(echo 'from outside' | held_open task_is io-stdin RUNNING | ctr run --rm $image io-stdin cat)"
  same 5242880 "$(head -c 5242880 /dev/zero | held_open task_is io-much RUNNING | ctr run --rm $image io-much cat | wc -c)"
}

# ctr does not wait for the rest of a terminal's output, hence the sleeping.
test_run_terminal() {
  prints '/dev/pts/0' in_terminal run --rm -t $image io-tty sh -c 'tty; sleep 0.3'
  prints '0 0' in_terminal run --rm -t $image io-tty-fds sh -c 'test -t 0; a=$?; test -t 2; echo $a $?; sleep 0.3'
  exits 7 in_terminal run --rm -t $image io-tty-exit sh -c 'exit 7'
}

# ctr hands on the terminal's size some time after the start, and what is typed whenever it is typed.
test_run_terminal_input_and_size() {
  local text
  text=$(script -qefc "stty rows 33 cols 77; $ctr_binary -a $socket -n $ns run --rm -t $image io-size \
      sh -c 'until stty size | grep \"33 77\"; do sleep 0.1; done; read line; echo read \$line; sleep 0.3; exit 5'" /dev/null \
    < <(for _ in $(seq 50); do echo typed; sleep 0.2; done)) || same 5 $?
  matches '33 77' "$text"
  matches 'read typed' "$text"
}

test_run_detached() {
  ctr run -d $image io-detached sleep 100
  matches '^io-detached +[0-9]+ +RUNNING' "$(ctr tasks ls | tail -n +2)"
  remove_container io-detached
}

test_run_rm_leaves_nothing() {
  ctr run --rm $image io-rm true
  prints '' ctr tasks ls -q
  prints '' ctr containers ls -q
  lacks 'io-rm' "$(ctr snapshots ls)"
  [ ! -e "$bundles/$ns/io-rm" ]
}

test_run_without_streams() {
  prints '' ctr run --rm --null-io $image io-null echo nothing
}

# The process lingers: the stock shim closes the file that both streams share as soon as the first of them ends.
test_run_log_to_a_file() {
  local log=$work/logs/of.container
  ctr run -d --log-uri "file://$log" $image io-file sh -c 'echo out; echo err >&2; sleep 0.5'
  within 5 file_has $log out
  within 5 file_has $log err
  within 5 task_is io-file STOPPED
  remove_container io-file
}

# A logging program gets both streams as descriptors 3 and 4, says it is ready by closing 5, and finds the id in its environment.
test_run_log_to_a_program() {
  local program=$work/bin/logger
  cat >$program <<SCRIPT
#!/bin/sh
exec 5>&-
cat <&4 >$work/log.err &
{ echo "\$CONTAINER_NAMESPACE \$CONTAINER_ID \$*"; cat <&3; } >$work/log.out
wait
SCRIPT
  chmod 755 $program
  ctr run -d --log-uri "binary://$program?key=value" $image io-binary sh -c 'echo out; echo err >&2'
  within 5 file_has $work/log.out '^out'
  same "$ns io-binary key value" "$(head -n 1 $work/log.out)"
  within 5 file_has $work/log.err err
  within 5 task_is io-binary STOPPED
  remove_container io-binary
}

test_run_output_is_complete_at_exit() {
  local n
  for n in 1 2 3 4 5; do
    same 20000 "$(ctr run --rm $image io-complete-$n seq 20000 | wc -l)"
  done
}
