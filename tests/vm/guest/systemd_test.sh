#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Containers of the daemon under test with the systemd driver. The script stays in the machine's own namespaces: systemd
# is told process ids, and its sockets are below /run.
: "${CASES:=}"
export IT_RUN=vm IT_INSIDE=1
if ! mountpoint -q /run/work; then
  mkdir -p /var/work /run/work /run/netns
  mount --bind /var/work /run/work
fi
rm -rf /run/work/* /run/daemon
systemctl start dbus.socket # runc has another way to systemd, crun has not
mkdir -p /run/work/{tmp,bin,out}
. "$(dirname "$0")/../../integration/lib/harness.sh"
. "$(dirname "$0")/../../integration/ctr/ground.sh"
. "$(dirname "$0")/ground.sh"
label="vm systemd $DAEMON, shim $SHIM, $OCI"
cases=$guest/../../integration/ctr
CASES=${CASES:-$default_cases|scope_}

slice=system.slice

# ctr with the systemd driver: the id, after which the cgroup is named, follows the image.
ctr() {
  local words=("$@") n
  if [ "$1" = run ]; then
    for ((n = 1; n < $#; n++)); do
      if [ "${words[n]}" = "$image" ]; then
        set -- run --runc-systemd-cgroup --cgroup "$slice:vm:${words[n + 1]}" "${words[@]:1}"
        break
      fi
    done
  fi
  "$ctr_binary" -a $socket -n "$ns" "$@"
}

cgroup_of() { echo "/sys/fs/cgroup/$slice/vm-$1.scope"; } # ID
cgroup_value() { cat "$(cgroup_of "$4")/$3"; }

# The machine's other processes come and go.
processes_now() { pgrep -a 'containerd-shim|runc|crun' | grep -v -F "$0" | sort; }

scopes_of() { systemctl list-units --all --no-legend --plain "vm-$1.scope"; } # ID

# Whoever cleans up after a dead shim has to know the driver.
test_scope_of_a_killed_shim_goes() {
  ctr run -d --null-io $image orphaned sleep 1000 # fifos would go with a task that is deleted
  matches active "$(scopes_of orphaned)"
  pkill -KILL -f -- 'containerd-shim.* -id orphaned( |$)'
  gone() { same '' "$(scopes_of orphaned)"; }
  within 15 gone
  [ ! -e "$(cgroup_of orphaned)" ] || fail "its cgroup is still there"
  remove_container orphaned
}

scopes() { systemctl list-units --all --no-legend --plain 'vm-*.scope'; }

test_last_no_scope_is_left() {
  no_scope() { same '' "$(scopes)"; }
  within 10 no_scope
  same '' "$(systemctl list-units --failed --no-legend --plain 'vm-*')"
  same '' "$(find /sys/fs/cgroup/$slice -name 'vm-*')"
}

prepare set_up
mark_clean
run_cases "$cases/start.sh" "$cases/run.sh" "$cases/run_io.sh" "$cases/tasks.sh" "$guest/cgroup2.sh" "$guest/checkpoint.sh" "$0" "$cases/end.sh"
