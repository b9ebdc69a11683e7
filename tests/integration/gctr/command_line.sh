# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# gctr's command line: where flags may stand, what the environment says, how lists are printed and errors told.

test_gctr_flags_anywhere() {
  prints $image gctr images --namespace "$ns" ls -q -a $socket
  prints $image gctr -a unix://$socket images ls "name==$image" --namespace="$ns" --quiet
  prints 'a -c --rm' ctr run --rm $image --env X=1 flags echo a -c --rm
}

test_gctr_environment() {
  prints $image env GANTRY_ADDRESS=$socket CONTAINERD_NAMESPACE="$ns" "$ctr_binary" images ls -q
  prints $image env CONTAINERD_ADDRESS=$socket CONTAINERD_NAMESPACE="$ns" "$ctr_binary" images ls -q
  refuses 'cannot access socket /nowhere' env GANTRY_ADDRESS=/nowhere CONTAINERD_ADDRESS=$socket "$ctr_binary" info
  refuses 'absent' env CONTAINERD_SNAPSHOTTER=absent "$ctr_binary" -a $socket -n other snapshots tree -n "$ns"
}

test_gctr_help_and_version() {
  matches '^gctr [0-9]+\.[0-9]+' "$(gctr --version)"
  matches 'Usage: gctr' "$(gctr --help)"
  matches 'CONTAINER CMD' "$(gctr tasks exec --help)"
  matches '--memory-limit' "$(gctr run --help)"
}

test_gctr_errors() {
  refuses '^gctr: cannot access socket /nowhere: No such file' gctr -a /nowhere version
  refuses '^gctr: .*absent.*not found' ctr containers info absent
  refuses '^gctr: .*no such command: absent' gctr absent
  refuses '^gctr: .*no such command: absent' gctr images absent
  refuses '^gctr: .*--absent' ctr images ls --absent
  refuses '^gctr: .*unexpected argument: extra' ctr version extra
  refuses '^gctr: .*not a duration' ctr leases create --expires soon
  refuses 'container id must be provided' ctr run $image
  refuses 'image ref must be provided' ctr run
  refuses 'cannot be specified together' ctr run --rm -d $image both true
  refuses "CAP_' prefix" ctr run --rm --cap-add SYS_ADMIN $image caps true
  exits 1 ctr containers info absent
}

test_gctr_timeouts() {
  local started
  mkfifo $work/deaf
  started=$(milliseconds)
  refuses 'nobody answers' gctr -a $work/deaf --connect-timeout 300ms version
  [ $(($(milliseconds) - started)) -lt 5000 ]
  rm $work/deaf
  refuses '[Dd]eadline' ctr --timeout 300ms events
}

test_unserved_commands() {
  local command
  for command in 'images pull' 'images push' 'images export' 'images convert' 'content fetch' 'content push-object' \
    'containers checkpoint' 'containers restore' 'install' 'pprof heap'; do
    # shellcheck disable=SC2086
    refuses 'gctr: .*not served yet' ctr $command --plain-http x
  done
  refuses 'images pull: not served yet' ctr images pull example.org/a:1
  refuses -- '--cni: not served yet' ctr run --rm --cni $image cni true
}

test_gctr_lists_in_json() {
  local image_json
  image_json=$(ctr images ls --format json)
  same "$image $(cat $work/image.digest) linux/amd64" "$(jq -r '.[0] | "\(.name) \(.target.digest) \(.platforms[0])"' <<<"$image_json")"
  jq -e '.[0].size > 1000' <<<"$image_json"
  ctr images check --format json | jq -e '.[0].status == "complete (3/3)" and .[0].unpacked'
  ctr content ls --format json | jq -e 'length == 4 and all(.[]; .digest | startswith("sha256:"))'
  ctr snapshots ls --format json | jq -e 'length == 2 and all(.[]; .Kind == "Committed")'
  ctr namespaces ls --format json | jq -e --arg ns "$ns" 'any(.[]; .name == $ns)'
  ctr plugins ls --format json | jq -e 'any(.[]; .type == "io.containerd.snapshotter.v1" and .id == "overlayfs")'
  ctr leases create --id in-json colour=blue
  ctr leases ls --format json | jq -e 'any(.[]; .id == "in-json" and .labels.colour == "blue")'
  ctr leases rm in-json
  ctr run -d $image in-json sleep 100
  ctr tasks ls --format json | jq -e '.[0].id == "in-json" and .[0].status == "RUNNING" and .[0].pid > 1'
  ctr tasks ps in-json --format json | jq -e 'length == 1 and .[0].pid > 1'
  ctr containers ls --format json | jq -e --arg image $image '.[0].ID == "in-json" and .[0].Image == $image'
  remove_container in-json
  prints '[]' ctr tasks ls --format json
  prints '[]' ctr content active --format json
}

test_gctr_broken_output_is_an_error() {
  exits 1 ctr images ls >/dev/full
}
