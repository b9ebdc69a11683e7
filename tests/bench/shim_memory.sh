#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Memory of idle shims, ours beside the stock one, both under containerd 2.4.2: tests/bench/shim_memory.sh. Needs root.
#
# Each shim has one running container with null IO and is looked at (/proc/PID/smaps_rollup) four seconds after the last
# start: alone, and among COUNT. Kilobytes; of several, the mean, and for PSS the largest too. PSS divides a page among
# those that map it, so a shim alone pays for all text that it touches.
#
# From the environment:
#   SHIMS    which, of gantry and 2.4 ("gantry 2.4")
#   COUNT    how many (100)
#   PRESET   the build of the gantry shim (release)
#   DETAILS  a folder: leave the smaps of each shim that is alone there
# shellcheck disable=SC2154 # clients and local_flag are of daemon.sh, which the harness sources
DAEMON=containerd CTR=2.4
export DAEMON CTR
# shellcheck source=tests/integration/lib/harness.sh
. "$(dirname "${BASH_SOURCE[0]}")/../integration/lib/harness.sh"
: "${SHIMS:=gantry 2.4}" "${COUNT:=100}" "${DETAILS:=}"

binary_of() { # SHIM
  case $1 in
    gantry) echo "$repo/build/$PRESET/bin/containerd-shim-gantry-v2" ;;
    2.4) echo "$clients/containerd-shim-runc-v2" ;;
    *) echo "no such shim: $1" >&2; return 1 ;;
  esac
}

shim_pids() { # BINARY
  local exe
  for exe in /proc/[0-9]*/exe; do
    if [ "$(readlink "$exe")" = "$1" ]; then basename "$(dirname "$exe")"; fi
  done
}

report() { # SHIM COUNT
  local pids pid files=()
  mapfile -t pids < <(shim_pids "$(binary_of "$1")")
  if [ ${#pids[@]} != "$2" ]; then echo "${#pids[@]} shims instead of $2" >&2; return 1; fi
  for pid in "${pids[@]}"; do files+=("/proc/$pid/smaps_rollup"); done
  if [ "$2" = 1 ] && [ -n "$DETAILS" ]; then cat "/proc/${pids[0]}/smaps" >"$DETAILS/smaps.$1"; fi
  cat "${files[@]}" | awk -v shim="$1" -v n="$2" '
    { sum[$1] += $2 }
    $1 == "Pss:" && $2 > largest { largest = $2 }
    END { printf "%-8s %4d %8.0f %8.0f %8.0f %8.0f %8.0f\n", shim, n, sum["Rss:"] / n, sum["Pss:"] / n, largest,
          (sum["Private_Clean:"] + sum["Private_Dirty:"]) / n, sum["Anonymous:"] / n }'
}

start_idle() { ctr run -d --null-io $image "idle-$1" sleep 100000 </dev/null; } # NUMBER

measure() { # SHIM
  local i
  ln -sfn "$(binary_of "$1")" $work/path/containerd-shim-runc-v2
  start_idle 1
  sleep 4
  report "$1" 1
  if [ "$COUNT" -gt 1 ]; then
    for i in $(seq 2 "$COUNT"); do start_idle "$i"; done
    sleep 4
    report "$1" "$COUNT"
  fi
  for i in $(seq "$COUNT"); do remove_container "idle-$i" >/dev/null; done
}

"$lib/make-image" --oci $work/image.tar --ref docker.io/library/busybox:1 >/dev/null
image=docker.io/library/busybox:1
start_daemon
ctr images import "${local_flag[@]}" $work/image.tar >/dev/null
printf '%-8s %4s %8s %8s %8s %8s %8s\n' shim n RSS PSS largest private anon
for shim in $SHIMS; do measure "$shim"; done
stop_daemon
