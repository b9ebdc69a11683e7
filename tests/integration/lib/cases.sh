# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Runs the cases of a script and reports them.

case_seconds=60  # longest a case may take
if [ "$PRESET" != release ]; then case_seconds=240; fi # sanitizers slow a daemon down
why=$work/why    # the first explanation of the running case
case_group=none  # process group of the running case
failures=0
declare -A known_failures=() # case -> why the daemon under test is known to fail it

# Each case is a subshell with set -e, its output kept for when it fails, its process group killed if it hangs.
run_case() { # FUNCTION
  local function=$1 name=${1#test_} case_log=$work/out/${1#test_}.log status=0 started watchdog case_pid
  name="$label: ${name//_/ }"
  started=$(milliseconds)
  : >"$why"
  set -m
  (
    set -eEuo pipefail
    trap explain_error ERR
    case_group=$BASHPID
    "$function"
  ) >"$case_log" 2>&1 </dev/null &
  case_pid=$!
  (sleep $case_seconds; [ -s "$why" ] || echo "still running after $case_seconds s" >"$why"; kill -9 -- -$case_pid) >/dev/null 2>&1 &
  watchdog=$!
  set +m
  wait $case_pid 2>/dev/null || status=$?
  kill -9 -- -$watchdog 2>/dev/null
  wait $watchdog 2>/dev/null
  report "$name" "$function" $status "$case_log" $(($(milliseconds) - started))
  case $status in 0 | 77) ;; *) after_failure >>"$work/after_failure.log" 2>&1 ;; esac
}

after_failure() { :; } # a script whose cases wreck each other's ground defines its own

# What the cases stand on; without it there is nothing to judge.
prepare() { # FUNCTION
  local log=$work/out/prepare.log status=0
  (set -eEuo pipefail; "$1") >"$log" 2>&1 </dev/null || status=$?
  [ $status = 0 ] && return
  echo "not ok $label: cannot start"
  sed 's/^/#   /' "$log"
  exit 1
}

report() { # NAME FUNCTION STATUS LOG MILLISECONDS
  case $3 in
    0) echo "ok $1 ($5 ms)"; return ;;
    77) echo "skip $1: $(cat "$why")"; return ;;
  esac
  [ -z "${KEEP_LOG:-}" ] || cp "$4" "$KEEP_LOG/"
  if [ -n "${known_failures[$2]:-}" ]; then
    echo "skip $1: $DAEMON is known to fail: ${known_failures[$2]} ($(head -n 1 "$why"))"
    return
  fi
  failures=$((failures + 1))
  echo "not ok $1: $(head -n 1 "$why")"
  tail -n 40 "$4" | sed 's/^/#   /'
}

cases_in() { sed -nE 's/^(test_[a-z0-9_]+)\(\).*/\1/p' "$@"; } # FILE...: in the order written

run_cases() { # FILE...: the cases of these files, of which the script itself may be one; ends the script
  local function file
  # shellcheck source=/dev/null
  for file; do [ "$file" = "$0" ] || . "$file"; done
  for function in $(cases_in "$@"); do
    if [[ $function =~ ^test_(first|last)_ || $function =~ $CASES ]]; then run_case "$function"; fi
  done
  if [ -n "${KEEP_LOG:-}" ]; then cp "$work"/*.log "$KEEP_LOG/" 2>/dev/null; fi
  [ $failures = 0 ]
  exit
}
