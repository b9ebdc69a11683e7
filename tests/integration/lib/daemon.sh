# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The daemon under test, with a root, state and socket of its own, and the client that speaks to it.

clients=$(client_dir containerd)
daemon_root=$work/root
daemon_state=/run/daemon
socket=$daemon_state/daemon.sock
daemon_log=$work/daemon.log
daemon_pid_file=$work/daemon.pid
bundles=$daemon_state/io.containerd.runtime.v2.task
overlay=$daemon_root/io.containerd.snapshotter.v1.overlayfs/snapshots
native=$daemon_root/io.containerd.snapshotter.v1.native/snapshots
blobs=$daemon_root/io.containerd.content.v1.content/blobs/sha256
ingests=$daemon_root/io.containerd.content.v1.content/ingest

case $DAEMON in
  gantryd) daemon_binary=$repo/build/$PRESET/bin/gantryd ;;
  containerd) daemon_binary=$clients/containerd ;;
  containerd-1.6) daemon_binary=/usr/bin/containerd ;;
  *) echo "not ok $suite: no such DAEMON: $DAEMON"; exit 1 ;;
esac
case $CTR in
  2.4) ctr_binary=$clients/ctr ;;
  1.6) ctr_binary=/usr/bin/ctr ;;
  *) echo "not ok $suite: no such CTR: $CTR"; exit 1 ;;
esac
case $SHIM in
  2.4) shim_binary=$clients/containerd-shim-runc-v2 ;;
  debian) shim_binary=/usr/bin/containerd-shim-runc-v2 ;;
  gantry) shim_binary=$repo/build/$PRESET/bin/containerd-shim-gantry-v2 ;;
  *) echo "not ok $suite: no such SHIM: $SHIM"; exit 1 ;;
esac
oci_binary=$(command -v "$OCI") || { echo "not ok $suite: there is no $OCI"; exit 1; }
for binary in "$daemon_binary" "$ctr_binary" "$shim_binary"; do
  if [ ! -x "$binary" ]; then echo "not ok $suite: $binary is not there"; exit 1; fi
done

ctr() {
  local verb=1 by_name=()
  if [ "${1:-}" = containers ]; then verb=2; fi
  case "$RUNTIME ${*:1:verb}" in
    ' '*) ;;
    *' run' | *' containers create') by_name=(--runtime "$RUNTIME") ;;
  esac
  "$ctr_binary" -a $socket -n "$ns" "${@:1:verb}" "${by_name[@]}" "${@:verb+1}"
}
answers() { timeout 20 "$ctr_binary" -a $socket -n "$ns" "$@"; } # ctr that is given up in the end
ctr_events() { exec "$ctr_binary" -a $socket -n "$ns" events "$@"; } # for the background, where its pid is wanted
local_flag=() # for what would go through the Transfer service
if [ "$CTR" = 2.4 ]; then local_flag=(--local); fi

daemon_pid() { cat $daemon_pid_file; }

write_daemon_config() {
  cat >$work/config.toml <<TOML
version = $([ "$DAEMON" = containerd-1.6 ] && echo 2 || echo 3)
root = "$daemon_root"
state = "$daemon_state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.nri.v1.nri"]
[grpc]
  address = "$socket"
[debug]
  level = "debug"
TOML
  if uses_stock_shim; then
    printf "[plugins.'io.containerd.shim.v1.manager']\n  runtimes = {}\n" >>$work/config.toml
  fi
}

standing() { # what is unusual in what the cases run on, beside the shim
  [ "$DAEMON" = gantryd ] || printf '%s, ' "$DAEMON"
  printf 'shim %s' "$SHIM"
  [ "$OCI" = runc ] || printf ', %s' "$OCI"
  [ -z "$RUNTIME" ] || printf ', by name'
}

uses_stock_shim() { [ "$DAEMON" = gantryd ] && [ "$SHIM" != gantry ]; } # where it would run its own

# launch_daemon starts it without waiting; the shim, and crun if that is to be run for runc, are put before PATH. gantryd
# finds its own shim by itself.
launch_daemon() {
  mkdir -p $work/path
  if [ "$DAEMON" != gantryd ] || uses_stock_shim; then ln -sfn "$shim_binary" $work/path/containerd-shim-runc-v2; fi
  if [ -n "$RUNTIME" ]; then ln -sfn "$shim_binary" "$work/path/$(shim_name "$RUNTIME")"; fi
  if [ "$OCI" != runc ]; then make_oci_runtime; fi
  [ -e $work/config.toml ] || write_daemon_config
  local options
  mapfile -t options < <(sanitizer_options $work)
  env PATH="$work/path:$PATH" "${options[@]}" \
    "$daemon_binary" --config $work/config.toml >>$daemon_log 2>&1 </dev/null &
  echo $! >$daemon_pid_file
  disown
}

# Debian's crun takes specifications up to 1.0 only, where clients write a later one.
make_oci_runtime() {
  [ ! -e $work/path/runc ] || return 0
  cat >$work/path/runc <<SCRIPT
#!/bin/bash
bundle=.
for ((n = 1; n < \$#; n++)); do
  if [ "\${!n}" = --bundle ]; then next=\$((n + 1)) bundle=\${!next}; fi
done
if [[ " \$* " = *" create "* ]] && [ -e "\$bundle/config.json" ]; then
  spec=\$(jq -c '.ociVersion = "1.0.2"' "\$bundle/config.json") && printf '%s' "\$spec" >"\$bundle/config.json"
fi
exec "$oci_binary" "\$@"
SCRIPT
  chmod 755 $work/path/runc
}

# io.containerd.gantry.v2 is run by containerd-shim-gantry-v2.
shim_name() { local name=${1#io.containerd.}; echo "containerd-shim-${name//./-}"; } # RUNTIME

daemon_serves() { ctr namespaces ls; }

start_daemon() {
  launch_daemon
  within 15 daemon_serves || { tail -n 20 $daemon_log >&2; return 1; }
}

gone() { [ ! -e "/proc/$1" ]; } # PID

# stop_daemon asks it to end, and expects exit within ten seconds; tasks go on.
stop_daemon() {
  local pid
  pid=$(daemon_pid)
  kill -TERM "$pid"
  within 10 gone "$pid"
}

kill_daemon() {
  local pid
  pid=$(daemon_pid)
  kill -KILL "$pid"
  within 5 gone "$pid"
}

daemon_fds() { find "/proc/$(daemon_pid)/fd" -mindepth 1 2>/dev/null | wc -l; }

sanitizer_reports() { find $work -maxdepth 1 -name 'sanitizer.*' -exec cat {} +; }

# cgroup_value CONTROLLER V1-FILE V2-FILE ID [PARENT]: of a container, whichever cgroup version the machine has.
cgroup_value() {
  local parent=${5:-$ns}
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then cat "/sys/fs/cgroup/$parent/$4/$3"; else cat "/sys/fs/cgroup/$1/$parent/$4/$2"; fi
}

task_is() { [ "$(ctr tasks ls | awk -v id="$1" '$1 == id {print $3}')" = "$2" ]; } # ID STATUS

remove_container() { # ID: whatever its state
  ctr tasks rm -f "$1" >/dev/null 2>&1 || true # tells the task's exit status by its own
  ctr containers rm "$1"
}

# remove_all NAMESPACE: all that the API shows there, and one collection. A collection frees what only records held.
remove_all() {
  local id
  local in=("$ctr_binary" -a "$socket" -n "$1")
  for id in $("${in[@]}" containers ls -q); do
    "${in[@]}" tasks rm -f "$id" || true
    "${in[@]}" containers rm "$id"
  done
  for id in $("${in[@]}" images ls -q); do "${in[@]}" images rm "$id"; done
  for id in $("${in[@]}" leases ls -q); do "${in[@]}" leases rm "$id" || true; done
  "${in[@]}" leases rm --sync "$("${in[@]}" leases create)"
}

# Removing a lease synchronously collects garbage, for which ctr has no command. Cases that make what nothing refers to
# do this first, so that no collection is due when they begin.
collect() { ctr leases rm --sync "$(ctr leases create)" >/dev/null; }
