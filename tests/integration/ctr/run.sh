# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# ctr run: what the container sees, and what a failing run says.

test_run_exit_status() {
  exits 42 ctr run --rm $image run-42 sh -c 'exit 42'
  exits 137 ctr run --rm $image run-137 sh -c 'sh -c "kill -9 \$\$"; exit $?'
  exits 0 ctr run --rm $image run-0 true
}

test_run_environment() {
  local text
  printf 'FROM_FILE=f\n' >$work/env
  text=$(ctr run --rm --env GIVEN=g --env-file $work/env --cwd /etc $image run-env sh -c 'echo $GIVEN $FROM_FILE $FROM_IMAGE $PWD')
  same "g f yes /etc" "$text"
}

test_run_user() {
  [ "$CTR" = 2.4 ] || skip "ctr 1.6 run has no --user"
  prints '1000:1000 1000 2000' ctr run --rm --user user $image run-user sh -c 'echo $(id -u):$(id -g) $(id -G)'
  prints 1000:0 ctr run --rm --user 1000:0 $image run-ids sh -c 'echo $(id -u):$(id -g)'
  prints 4242 ctr run --rm --user 4242 $image run-number id -u
  refuses 'no users found|not found' ctr run --rm --user absent $image run-absent true
}

test_run_read_only() {
  refuses 'Read-only file system' ctr run --rm --read-only $image run-ro touch /new
}

test_run_writes_stay_in_the_container() {
  ctr run --rm $image run-write sh -c 'touch /new; rm /etc/layer2'
  prints 'second layer' ctr run --rm $image run-after cat /etc/layer2
  refuses 'No such file' ctr run --rm $image run-after ls /new
}

test_run_mounts() {
  local host=$work/shared-folder
  mkdir -p $host
  echo outside >$host/file
  prints outside ctr run --rm --mount type=bind,src=$host,dst=/data,options=rbind:rw $image run-rw sh -c 'cat /data/file; echo inside >/data/new'
  prints inside cat $host/new
  refuses 'Read-only' ctr run --rm --mount type=bind,src=$host,dst=/data,options=rbind:ro $image run-robind touch /data/other
  matches 'tmpfs.*size=1024k' "$(ctr run --rm --mount type=tmpfs,src=tmpfs,dst=/data,options=size=1m $image run-tmpfs grep /data /proc/mounts)"
}

test_run_memory_limit() {
  ctr run -d --memory-limit 67108864 $image run-memory sleep 100
  same 67108864 "$(cgroup_value memory memory.limit_in_bytes memory.max run-memory)"
  ctr tasks kill -s KILL run-memory
  remove_container run-memory
}

test_run_over_the_memory_limit() {
  local status=0
  ctr run --rm --memory-limit 16777216 $image run-oom sh -c 'x=x; while :; do x=$x$x; done' || status=$?
  same 137 $status
}

test_run_cpus() {
  ctr run -d --cpus 0.5 --cpu-shares 512 $image run-cpus sleep 100
  matches '^50000( 100000)?$' "$(cgroup_value cpu cpu.cfs_quota_us cpu.max run-cpus)"
  matches '^(512|20)$' "$(cgroup_value cpu cpu.shares cpu.weight run-cpus)"
  remove_container run-cpus
}

test_run_cgroup_path() {
  ctr run -d --cgroup "/$ns/chosen" $image run-cgroup sleep 100
  matches '^(max|[0-9]+)$' "$(cgroup_value pids pids.max pids.max chosen)"
  same "$(ctr tasks ls | awk '$1 == "run-cgroup" {print $2}')" "$(cgroup_value pids cgroup.procs cgroup.procs chosen)"
  remove_container run-cgroup
}

capabilities() { ctr run --rm "${@:2}" $image "$1" sed -n 's/^CapEff:\t//p' /proc/self/status; } # ID FLAG...

test_run_privileges() {
  local default all
  default=$(capabilities run-caps)
  all=$(sed -n 's/^CapEff:\t//p' /proc/self/status)
  same 00000000a80425fb "$default"
  prints "$all" capabilities run-privileged --privileged
  prints 00000000a82425fb capabilities run-add --cap-add CAP_SYS_ADMIN
  prints 00000000a80405fb capabilities run-drop --cap-drop CAP_NET_RAW
  ctr run --rm --privileged $image run-devices ls /dev/loop-control
  refuses 'No such file' ctr run --rm $image run-devices ls /dev/loop-control
  ctr run --rm --device /dev/loop-control $image run-device ls /dev/loop-control
}

test_run_seccomp_and_new_privileges() {
  prints 2 ctr run --rm --seccomp $image run-seccomp sed -n 's/^Seccomp:\t//p' /proc/self/status
  prints 1 ctr run --rm $image run-nnp sed -n 's/^NoNewPrivs:\t//p' /proc/self/status
  prints 0 ctr run --rm --allow-new-privs $image run-anp sed -n 's/^NoNewPrivs:\t//p' /proc/self/status
}

test_run_network_namespaces() {
  local own
  own=$(readlink /proc/self/ns/net)
  prints "$own" ctr run --rm --net-host $image run-host readlink /proc/self/ns/net
  lacks "^${own//[\[\]]/.}$" "$(ctr run --rm $image run-private readlink /proc/self/ns/net)"
  ip netns add it-joined
  same "net:[$(stat -L -c %i /run/netns/it-joined)]" \
    "$(ctr run --rm --with-ns network:/run/netns/it-joined $image run-joined readlink /proc/self/ns/net)"
  ip netns delete it-joined
}

test_run_user_namespace() {
  local text
  text=$(ctr run --rm --uidmap 0:100000:65536 --gidmap 0:200000:65536 $image run-userns \
    sh -c 'echo $(cat /proc/self/uid_map) $(cat /proc/self/gid_map) $(stat -c %u:%g /etc/layer2 /etc/owned)')
  same '0 100000 65536 0 200000 65536 0:0 1000:1000' "$text"
}

test_run_labels_annotations_and_pid_file() {
  ctr run -d --label purpose=test --annotation note=kept --pid-file $work/pid $image run-labels sleep 100
  same test "$(ctr containers info run-labels | jq -r '.Labels.purpose')"
  same kept "$(jq -r '.annotations.note' "$bundles/$ns/run-labels/config.json")"
  same "$(cat $work/pid)" "$(ctr tasks ls | awk '$1 == "run-labels" {print $2}')"
  remove_container run-labels
}

test_run_native_snapshotter() {
  prints 'second layer' ctr run --rm --snapshotter native $image run-native cat /etc/layer2
  same 2 "$(ctr snapshots --snapshotter native ls | tail -n +2 | wc -l)"
  matches '^/[^ ]+ / ext4' "$(ctr run --rm --snapshotter native $image run-native grep ' / ' /proc/mounts)"
  matches "overlay / overlay" "$(ctr run --rm $image run-overlay grep ' / ' /proc/mounts)"
}

make_rootfs() { # a folder with a shell
  mkdir -p $work/rootfs/{bin,dev,proc,run,sys}
  cp /bin/busybox $work/rootfs/bin/sh
}

test_run_config_file() {
  make_rootfs
  ctr oci spec | jq --arg path $work/rootfs '.root.path = $path | .process.env = ["MARK=from a file"]
    | .process.args = ["/bin/sh", "-c", "echo $MARK"]' >$work/spec.json
  prints 'from a file' ctr run --rm --config $work/spec.json run-config
}

test_run_own_rootfs() {
  make_rootfs
  prints own ctr run --rm --rootfs $work/rootfs run-rootfs /bin/sh -c 'echo own'
}

test_run_runtime_options() {
  [ -z "$RUNTIME" ] || skip "ctr sends runc's options to io.containerd.runc.v2 alone"
  local runc=$work/bin/recording-runc
  printf '#!/bin/sh\necho "$@" >>%s\nexec runc "$@"\n' $work/runc.calls >$runc
  chmod 755 $runc
  prints ok ctr run --rm --runc-binary $runc --runc-root $work/runc-root $image run-runc echo ok
  file_has $work/runc.calls "--root $work/runc-root/$ns .*create"
  file_has $work/runc.calls "--root $work/runc-root/$ns .*delete"
  same '' "$(find $work/runc-root -mindepth 2)"
}

test_run_runtime_by_path() {
  prints ok ctr run --rm --runtime "$shim_binary" $image run-path echo ok
}

test_run_errors() {
  refuses 'not found' ctr run --rm example.org/absent:1 error-image true
  refuses 'snapshotter .*not found|not loaded|not exist' ctr run --rm --snapshotter absent $image error-snapshotter true
  refuses 'executable file .*not found' ctr run --rm $image error-command no-such-command
  refuses 'runtime|not installed|not found' ctr run --rm --runtime io.containerd.absent.v1 $image error-runtime true
  refuses 'identifier|invalid' ctr run --rm $image 'error/id' true
  refuses 'absent-source' ctr run --rm --mount type=bind,src=/absent-source,dst=/data,options=rbind $image error-mount true
  prints '' ctr tasks ls -q
  prints '' ctr containers ls -q
}

test_run_duplicate_container_id() {
  ctr run -d $image run-twice sleep 100
  refuses 'already exists' ctr run -d $image run-twice true
  matches "^run-twice +[0-9]+ +RUNNING" "$(ctr tasks ls | tail -n +2)"
  remove_container run-twice
}
