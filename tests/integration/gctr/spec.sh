# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The runtime spec and record that gctr makes, field by field beside those of ctr 2.4.2.

record_of() { # CLIENT FLAG... -- ARG...: spec and record that the client's "containers create" makes
  local client=$1 flags=() text
  shift
  while [ "$1" != -- ]; do flags+=("$1"); shift; done
  shift
  "$client" -a $socket -n "$ns" containers create "${flags[@]}" "$@"
  text=$("$real_ctr" -a $socket -n "$ns" containers info alike)
  "$real_ctr" -a $socket -n "$ns" containers rm alike
  jq -S 'del(.CreatedAt, .UpdatedAt)' <<<"$text"
}

alike() { # FLAG... -- ARG...
  record_of "$real_ctr" "$@" >$work/real.json
  record_of "$ctr_binary" "$@" >$work/ours.json
  diff $work/real.json $work/ours.json || fail "records differ for: $*"
}

alike_run() { # FLAG... -- ARG...: specs for flags that only "run" has
  local client flags=()
  while [ "$1" != -- ]; do flags+=("$1"); shift; done
  shift
  for client in "$real_ctr" "$ctr_binary"; do
    "$client" -a $socket -n "$ns" run --rm --null-io --dump-config $work/dump.json "${flags[@]}" $image alike "$@"
    jq -S . $work/dump.json >"$work/${client##*/}.json"
  done
  diff $work/ctr.json $work/gctr.json || fail "specs differ for: ${flags[*]}"
}

test_spec_default() { alike -- $image alike; }

test_spec_of_a_command() { alike -- $image alike sh -c 'echo $HOME' -d; }

test_spec_process() {
  printf 'FILE=1\nFROM_IMAGE=file\nempty=\n' >$work/env
  alike --env A=1 --env B=x=y --env FROM_IMAGE --env-file $work/env --cwd /tmp --tty -- $image alike sh
  alike --allow-new-privs --hostname there -- $image alike sh
  alike_run --rlimit-nofile 100:200 -- true
  alike_run --rlimit-nofile 64 -- true
}

test_spec_users() {
  local user
  for user in user 1000 4242 1000:0 user:extra 0:extra :5 root; do alike --user $user -- $image alike id; done
  "$lib/make-image" --ref example.org/user:1 --config '{"User": "user:extra", "Labels": {"a": "b", "containerd.io/restart.loguri": "binary:///x", "io.cri-containerd.kind": "sandbox"}, "StopSignal": "SIGUSR1", "Entrypoint": ["/bin/echo"], "Cmd": ["x"], "WorkingDir": "/etc"}' --oci $work/user.tar
  ctr images import $work/user.tar
  alike -- example.org/user:1 alike
  alike --user root --label a=c --label flag -- example.org/user:1 alike sh
  ctr images rm --sync example.org/user:1
}

test_spec_privileges() {
  alike --cap-add CAP_SYS_ADMIN --cap-add CAP_BPF --cap-drop CAP_CHOWN -- $image alike sh
  alike --privileged -- $image alike sh
  alike_run --privileged --privileged-without-host-devices -- true
  alike --seccomp -- $image alike sh
  alike --seccomp --cap-add CAP_SYS_ADMIN --cap-add CAP_SYS_PTRACE --cap-add CAP_SYS_TIME --cap-drop CAP_SYS_CHROOT -- $image alike sh
  echo '{"defaultAction":"SCMP_ACT_ALLOW"}' >$work/seccomp.json
  alike --seccomp --seccomp-profile $work/seccomp.json -- $image alike sh
  alike --apparmor-profile mine -- $image alike sh
}

test_spec_resources() {
  alike --memory-limit 100000000 --cpu-quota 5000 --cpu-period 10000 -- $image alike sh
  alike --rdt-class gold -- $image alike sh
  alike_run -- true
  alike_run --memory-limit 100000000 --cpus 1.5 --cpu-shares 12 --cpuset-cpus 0 --cpuset-mems 0 -- true
  alike_run --cpu-shares 0 --cgroup "/$ns/elsewhere" -- true
  alike_run --cgroup= -- true
}

test_spec_mounts_and_namespaces() {
  alike --mount type=bind,src=/tmp,dst=/host,options=rbind:ro --mount type=tmpfs,dst=/run -- $image alike sh
  alike --net-host --with-ns pid:/proc/1/ns/pid --with-ns cgroup:/proc/1/ns/cgroup -- $image alike sh
  alike --read-only --rootfs-propagation rshared -- $image alike sh
  alike --device /dev/null --device /dev/net -- $image alike sh
  alike --annotation a=b --annotation c=d=e --label f=g -- $image alike sh
  alike_run --uidmap 0:100000:65536 --gidmap 0:200000:65536 -- true
}

test_spec_runtime() {
  alike --runtime io.containerd.other.v1 --runtime-config-path /x -- $image alike sh
  alike --runc-binary crun --runc-root /x -- $image alike sh
  alike --snapshotter native -- $image alike sh
}

test_spec_of_a_folder() {
  mkdir -p $work/folder/etc
  echo 'someone:x:5:6::/:' >$work/folder/etc/passwd
  alike --rootfs --user someone --label a=b -- $work/folder alike sh
  alike --rootfs -- $work/folder/ alike sh
}

test_spec_from_a_file() {
  ctr oci spec | jq '.x = {"y": [1, null]} | .hostname = "file"' >$work/file.json
  ctr containers create --config $work/file.json from-file
  ctr containers info --spec from-file | jq -e '.x == {"y": [1, null]} and .hostname == "file"' # what it does not know is kept
  ctr containers rm from-file
}

test_spec_printed() {
  same "$("$real_ctr" -n "$ns" oci spec | jq -S .)" "$(ctr oci spec | jq -S .)"
}

test_spec_dumped() {
  ctr run --rm --cgroup "" --dump-config $work/dumped.json $image dumped true
  jq -e '.process.args == ["true"] and (.linux | has("cgroupsPath") | not)' $work/dumped.json
}
