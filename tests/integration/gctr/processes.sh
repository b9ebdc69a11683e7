# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# gctr in the place of a process: signals, terminals, and what is left when something fails.

# Not through ctr(): the pid must be gctr's.
in_background() { "$ctr_binary" -a $socket -n "$ns" "$@" & }

test_signals_are_forwarded() {
  in_background run --rm $image signals sh -c 'trap "exit 7" TERM; trap "echo usr1" USR1; echo ready; while :; do sleep 0.02; done' >$work/signals.out
  local pid=$!
  within 5 file_has $work/signals.out ready
  kill -USR1 $pid
  within 5 file_has $work/signals.out usr1
  kill -TERM $pid
  exits 7 wait $pid
  prints '' ctr containers ls -q
}

# Before there is a process, a signal ends gctr as it ends others.
test_signals_before_the_process() {
  local pid deaf
  python3 -c 'import socket,sys,time; s=socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); time.sleep(60)' $work/deaf &
  deaf=$!
  within 5 test -S $work/deaf
  "$ctr_binary" -a $work/deaf -n "$ns" run --rm $image unheard true &
  pid=$!
  sleep 0.5
  kill -TERM $pid
  exits 143 wait $pid
  kill $deaf
  rm $work/deaf
}

test_exec_forwards_signals() {
  ctr run -d $image exec-signals sleep 1000
  in_background exec --exec-id e exec-signals sh -c 'trap "exit 9" USR1; echo ready; while :; do sleep 0.02; done' >$work/exec.out
  local pid=$!
  within 5 file_has $work/exec.out ready
  kill -USR1 $pid
  exits 9 wait $pid
  same 1 "$(ctr tasks ps exec-signals | tail -n +2 | wc -l)"
  remove_container exec-signals
}

# Standard input that ends before the container is there reaches it all the same.
test_early_end_of_input() {
  same early "$(echo early | ctr run --rm $image early cat)"
  prints '' ctr run --rm $image nothing cat
  same 5242880 "$(head -c 5242880 /dev/zero | ctr run --rm $image much cat | wc -c)"
  ctr run -d $image early-exec sleep 1000
  same early "$(echo early | ctr exec --exec-id e early-exec cat)"
  remove_container early-exec
}

test_environment_of_exec() {
  ctr run -d --env A=container $image exec-env sleep 1000
  prints 'container added' ctr exec --exec-id e --env B=added exec-env sh -c 'echo $A $B'
  remove_container exec-env
}

# A background process that holds the streams does not hold gctr for ever: a signal lets it go.
test_streams_held_open() {
  in_background run --rm --with-ns pid:/proc/self/ns/pid $image held sh -c 'sleep 3 & echo started; exit 3' >$work/held.out
  local pid=$!
  within 5 file_has $work/held.out started
  exits 3 wait $pid
  within 10 sh -c '! ps -eo args | grep -q "^sleep 3$"'
}

test_terminal_is_restored_and_resized() {
  cat >$work/in_tty.py <<'PY'
import fcntl, os, pty, select, struct, sys, termios, time
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
def size(rows, cols): fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
def until(text):
    seen = b""
    while text.encode() not in seen:
        readable, _, _ = select.select([fd], [], [], 15)
        piece = os.read(fd, 1000) if readable else b""
        if not piece: raise SystemExit(f"no {text} in {seen}")
        seen += piece
before = termios.tcgetattr(fd)
size(20, 70)
until("ready")
raw = termios.tcgetattr(fd)
assert not raw[3] & termios.ICANON and not raw[3] & termios.ECHO, "not raw"
for rows in range(21, 32): size(rows, 91)  # the last one counts
time.sleep(0.5)
os.write(fd, b"stty size\n")
until("31 91")
os.write(fd, b"\x03")  # to the container, whose shell goes on
os.write(fd, b"exit 6\n")
try:
    while os.read(fd, 1000): pass
except OSError: pass
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
assert status == 6, status
PY
  python3 $work/in_tty.py "$ctr_binary" -a $socket -n "$ns" run --rm -t $image sized sh -c 'echo ready; exec sh'
  ctr run -d $image sized sleep 1000
  python3 $work/in_tty.py "$ctr_binary" -a $socket -n "$ns" tasks exec -t -i --exec-id t sized sh -c 'echo ready; exec sh'
  remove_container sized
}

test_terminal_needs_one() {
  refuses 'terminal' setsid "$ctr_binary" -a $socket -n "$ns" run --rm -t $image no-tty true
  prints '' ctr containers ls -q
}

test_failed_runs_leave_nothing() {
  refuses 'no users found' ctr run --user absent $image failed true
  prints '' ctr containers ls -q
  lacks failed "$(ctr snapshots ls)"
  prints '' ctr leases ls -q
  refuses 'executable file not found' ctr run --rm $image failed no-such-command
  prints '' ctr containers ls -q
  prints '' ctr tasks ls -q
  same '' "$(find /run/gantry/fifo -mindepth 1 2>/dev/null)"
}

test_attach_to_a_terminal() {
  ctr run -d -t $image attach-tty sh -c 'read line; echo got $line; exit 8'
  printf 'import os,pty,sys\npid,fd=pty.fork()\nif pid==0: os.execv(sys.argv[1],sys.argv[1:])\nos.write(fd,b"word\\n")\nseen=b""\ntry:\n  while True:\n    p=os.read(fd,1000)\n    if not p: break\n    seen+=p\nexcept OSError: pass\nassert b"got word" in seen, seen\nsys.exit(os.waitstatus_to_exitcode(os.waitpid(pid,0)[1]))\n' >$work/attach.py
  exits 8 python3 $work/attach.py "$ctr_binary" -a $socket -n "$ns" tasks attach attach-tty
  ctr containers rm attach-tty
  same '' "$(find /run/gantry/fifo -mindepth 1 2>/dev/null)"
}

test_events_in_json() {
  local log=$work/events.json subscriber
  in_background events --format json >$log
  subscriber=$!
  changed() { ctr namespaces label "$ns" probe=$EPOCHREALTIME; file_has $log namespaces/update; }
  within 5 changed
  kill $subscriber
  ctr namespaces label "$ns" probe=
  head -n 1 $log | jq -e --arg ns "$ns" '.topic == "/namespaces/update" and .event.name == $ns'
}
