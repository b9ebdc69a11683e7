# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# ctr plugins, events and what else tells of the daemon.

test_plugins() {
  local text type
  text=$(ctr plugins ls)
  for type in io.containerd.content.v1 io.containerd.snapshotter.v1 io.containerd.runtime.v2 io.containerd.metadata.v1; do
    matches "$type +[a-z]+ +[^ ]+ +ok" "$text"
  done
  matches 'io.containerd.snapshotter.v1 +overlayfs +linux/amd64 +ok' "$text"
  matches 'Exports:.*root' "$(ctr plugins ls -d type==io.containerd.snapshotter.v1,id==overlayfs | tr '\n' ' ')"
  same 1 "$(ctr plugins ls type==io.containerd.snapshotter.v1,id==overlayfs | tail -n +2 | wc -l)"
}

test_plugins_runtime() {
  [ "$CTR" = 2.4 ] || skip "ctr 1.6 has no such command"
  [ "$SHIM" != debian ] || skip "the shim of 1.6.20 tells nothing of itself"
  same io.containerd.runc.v2 "$(ctr plugins inspect-runtime | jq -r .Name)"
  matches 'rprivate' "$(ctr plugins inspect-runtime | jq -c .Features)"
}

test_info() {
  [ "$CTR" = 2.4 ] || skip "ctr 1.6 has no such commands"
  same "$(daemon_pid)" "$(ctr info | jq .server.pid)"
  ctr deprecations list
  same 0 "$(ctr sandboxes ls | tail -n +2 | wc -l)"
}

# The life of a container in the order that clients rely on.
test_events() {
  local topics log=$work/events.log subscriber
  ctr_events >$log 2>&1 &
  subscriber=$!
  subscribed() {
    ctr namespaces label "$ns" probe=$EPOCHREALTIME
    file_has $log /namespaces/update
  }
  within 5 subscribed
  ctr run -d $image seen sleep 1000
  ctr tasks pause seen
  ctr tasks resume seen
  exits 5 ctr tasks exec --exec-id other seen sh -c 'exit 5'
  remove_container seen
  within 5 file_has $log '/containers/delete'
  within 5 file_has $log '/snapshot/remove'
  ctr namespaces label "$ns" probe=
  kill $subscriber
  # No /tasks/delete, the last word of a stock shim that sometimes ends before it is sent; no order of the last two.
  topics=$(awk -v ns="$ns" '$5 == ns && $6 ~ "^/(tasks|containers|snapshot)/" {print $6}' $log | grep -v /tasks/delete)
  same '/snapshot/prepare /containers/create /tasks/create /tasks/start /tasks/paused /tasks/resumed /tasks/exec-added /tasks/exec-started /tasks/exit /tasks/exit' \
    "$(head -n 10 <<<"$topics" | tr '\n' ' ' | sed 's/ $//')"
  same '/containers/delete /snapshot/remove' "$(tail -n +11 <<<"$topics" | sort | tr '\n' ' ' | sed 's/ $//')"
  matches '"exit_status":5' "$(grep '/tasks/exit ' $log | head -n 1)"
  matches '"exit_status":137' "$(grep '/tasks/exit ' $log | tail -n 1)"
}

test_events_with_a_filter() {
  local log=$work/filtered.log subscriber
  ctr_events 'topic=="/images/create"' >$log 2>&1 &
  subscriber=$!
  tagged() {
    ctr images tag "${local_flag[@]}" --force $image example.org/event:1
    ctr images rm example.org/event:1
    file_has $log /images/create
  }
  within 5 tagged
  kill $subscriber
  same '' "$(grep -v /images/create $log || true)"
}

test_install() {
  mkdir -p $work/installed
  ctr install --path $work/installed --replace $image
  same "$(sha256sum </bin/busybox)" "$(sha256sum <$work/installed/bin/busybox)"
}
