# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The integration scripts' harness: sourced first by each of them, run as root.
#
# A script is a list of functions test_NAME, run in the order written by run_cases. It runs in mount, network and PID
# namespaces of its own, with /run a tmpfs and /run/work an ext4 file system made for it, so it meets no other daemon
# and its end takes every process with it. Cgroups are the machine's: all of a script's are below /$ns.
#
# It prints one line for each case, "ok NAME", "not ok NAME: why" or "skip NAME: why", and "# ..." lines of detail.
#
# From the environment:
#   DAEMON   gantryd (of PRESET's build, the default), containerd (2.4.2) or containerd-1.6 (Debian's): who is judged
#   PRESET   release (default), dev or tsan
#   SHIM     whose shim runs what is asked for as io.containerd.runc.v2: gantry (the default of gantryd), 2.4 (the default
#            of containerd) or debian (1.6.20, which containerd 2.4 cannot start)
#   OCI      runc (default) or crun: what the shim runs for "runc"
#   RUNTIME  the runtime that ctr names where it makes containers; the daemon's default if empty
#   CTR      2.4 (default) or 1.6: the client that ctr() runs
#   CASES    a regular expression: run only the cases that it matches (and test_first_*, test_last_*)
#   KEEP_LOG a folder: leave the daemon's log and the cases' output there

lib=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
repo=$(realpath "$lib/../../..")
: "${DAEMON:=gantryd}" "${PRESET:=release}" "${CTR:=2.4}" "${OCI:=runc}" "${RUNTIME:=}" "${CASES:=}"
if [ "$DAEMON" = gantryd ]; then : "${SHIM:=gantry}"; else : "${SHIM:=2.4}"; fi

enter_namespaces() { # replaces this process with the same script, inside
  local disk
  disk=$(mktemp -d "${TMPDIR:-/tmp}/gantry-it.XXXXXX") || exit 1
  truncate -s 8G "$disk/disk.img"
  mkfs.ext4 -q -F -O ^has_journal -E lazy_itable_init=1 "$disk/disk.img"
  IT_DISK=$disk IT_RUN=it$$ unshare --mount --net --pid --fork --mount-proc --kill-child bash "$0" "$@" &
  local inside=$! status=0
  trap 'kill -KILL $inside' INT TERM # which takes all that is inside along
  wait $inside || status=$?
  rm -rf "$disk"
  find /sys/fs/cgroup -depth -type d \( -path "*/it$$" -o -path "*/it$$/*" \) -exec rmdir {} + 2>/dev/null # the parents, which clients chose
  exit $status
}

set_up_inside() {
  mount -t tmpfs -o mode=755 tmpfs /run
  mkdir -p /run/work /run/lock /run/containerd /run/netns
  mount -o loop "$IT_DISK/disk.img" /run/work || exit 1
  mkdir -p /run/work/tmp /run/work/bin /run/work/out
  mount --bind /run/netns /run/netns && mount --make-shared /run/netns # as "ip netns add" would
  ip link set lo up
}

if [ "$(id -u)" != 0 ]; then echo "not ok ${0##*/}: needs root"; exit 1; fi
if [ -z "${IT_RUN:-}" ]; then enter_namespaces "$@"; fi
set -Euo pipefail
if [ -z "${IT_INSIDE:-}" ]; then set_up_inside; fi

export IT_INSIDE=1
work=/run/work
ns=$IT_RUN # the containerd namespace, and thereby the cgroup parent, of this run
export TMPDIR=$work/tmp CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS=1
suite=$(basename "$0" _test.sh)
label=$suite # printed before each case's name

. "$repo/hack/lib/toolchain.sh"
. "$repo/hack/lib/clients.sh"
. "$repo/hack/lib/sanitizers.sh"
. "$lib/expect.sh"
. "$lib/cases.sh"
. "$lib/daemon.sh"
. "$lib/registry.sh"
. "$lib/leaks.sh"
