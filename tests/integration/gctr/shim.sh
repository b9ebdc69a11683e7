# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# gctr shim: a shim asked past the daemon.

process_spec() { # ARG...: an OCI process
  jq -n '{user: {uid: 0, gid: 0}, cwd: "/", env: ["PATH=/bin"], args: $ARGS.positional}' --args -- "$@"
}

test_shim_state() {
  ctr run -d $image asked sleep 1000
  local pid
  pid=$(ctr tasks ls | awk '$1 == "asked" {print $2}')
  ctr shim --id asked state | jq -e --argjson pid "$pid" '.id == "asked" and .pid == $pid and .status == 2'
  ctr shim --id asked state --api-version 3 -t asked | jq -e --argjson pid "$pid" '.pid == $pid'
  refuses 'not found' ctr shim --id asked state -t nobody
  refuses 'api-version must be 2 or 3' ctr shim --id asked state --api-version 4
  remove_container asked
}

test_shim_by_address() {
  ctr run -d $image addressed sleep 1000
  local address
  address=$(jq -r .address $daemon_state/io.containerd.runtime.v2.task/$ns/addressed/bootstrap.json)
  ctr shim --shim-address "$address" state -t addressed | jq -e '.id == "addressed"'
  ctr shim --shim-address "${address#unix://}" state -t addressed | jq -e '.id == "addressed"'
  refuses 'gctr: ' ctr shim --shim-address unix:///run/nobody state -t addressed
  remove_container addressed
}

test_shim_exec() {
  ctr run -d $image execed sleep 1000
  process_spec sh -c 'echo here > /mark; sleep 1000' >$work/process.json
  ctr shim --id execed exec --spec $work/process.json look | grep -E '^exec running with pid [0-9]+$'
  within 5 ctr exec --exec-id check execed grep here /mark
  refuses 'exec id must be provided' ctr shim --id execed exec --spec $work/process.json
  refuses -- '--spec' ctr shim --id execed exec other
  remove_container execed
}

test_shim_exec_attached() {
  ctr run -d $image attached sleep 1000
  process_spec sh -c 'cat; echo to-err >&2; exit 7' >$work/process.json
  local status=0 out
  out=$(printf 'a line' | ctr shim --id attached exec --attach --spec $work/process.json look 2>$work/err) || status=$?
  same 7 "$status"
  same 'a line' "$out"
  same to-err "$(cat $work/err)"
  refuses -- '--attach has streams of its own' ctr shim --id attached exec --attach --stdout /x --spec $work/process.json look
  # The id is free again, and so it is after a failure.
  process_spec /nobody >$work/process.json
  refuses 'exec failed' ctr shim --id attached exec --attach --spec $work/process.json look
  process_spec true >$work/process.json
  ctr shim --id attached exec --attach --spec $work/process.json look
  remove_container attached
}

test_shim_start_and_delete() {
  ctr run -d --null-io $image direct sleep 1000 # else its fifos stay, which go with a task that the daemon deletes
  refuses 'gctr: ' ctr shim --id direct delete
  refuses 'gctr: ' ctr shim --id direct start
  ctr tasks kill -s SIGKILL direct
  within 5 sh -c "$ctr_binary -a $socket -n $ns tasks ls | grep -q 'direct.*STOPPED'"
  prints 'container deleted and returned exit status 137' ctr shim --id direct delete
  # The daemon finds out when it is asked.
  refuses 'not found' ctr tasks rm direct
  within 5 sh -c "! $ctr_binary -a $socket -n $ns tasks ls -q | grep -q direct"
  ctr containers rm direct
}

test_shim_errors() {
  refuses 'shim ID .* or address .* must be specified' ctr shim state
  refuses 'names no address' ctr shim --id nobody state
  refuses 'gctr: ' ctr shim --id ../../nobody state
  refuses 'shims have no profiles' ctr shim --id nobody pprof heap
}
