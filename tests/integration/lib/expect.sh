# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What cases say. Inside a case every failing command ends it (set -e), so these only add the reason.

# explain TEXT: the first explanation of a case's end goes into its report, with the case's line at that time.
explain() {
  local depth=1
  while [[ ${BASH_SOURCE[depth]:-$0} = "$lib"/* ]]; do depth=$((depth + 1)); done
  echo "$*" >&2
  [ -s "$why" ] || echo "${BASH_SOURCE[depth]##*/}:${BASH_LINENO[depth - 1]}: ${*%%$'\n'*}" >"$why"
}

# A command failed that no expectation speaks for: what it said last is the likely reason.
explain_error() { explain "$(tail -n 1 "$case_log")" 2>/dev/null; }

fail() { explain "$*"; return 1; }

skip() { echo "$*" >"$why"; exit 77; } # ends the case

same() { # WANT GOT
  [ "$1" = "$2" ] || fail "wanted '$1', got '$2'"
}

prints() { # WANT COMMAND...: it succeeds, with this output
  local want=$1 got status=0
  shift
  got=$("$@") || status=$?
  [ "$got $status" = "$want 0" ] || fail "wanted '$want', got '$got', exit status $status: $*"
}

matches() { # REGEX TEXT
  [[ $2 =~ $1 ]] || fail "no match of '$1' in: $2"
}

lacks() { # REGEX TEXT
  [[ ! $2 =~ $1 ]] || fail "unwanted match of '$1' in: $2"
}

exits() { # STATUS COMMAND...: output passes through
  local want=$1 got=0
  shift
  "$@" || got=$?
  [ "$got" = "$want" ] || fail "exit status $got instead of $want: $*"
}

refuses() { # REGEX COMMAND...: it fails, and says this on its standard error
  local want=$1 text
  shift
  if text=$("$@" 2>&1 >/dev/null </dev/null); then fail "succeeded: $*"; fi
  matches "$want" "$text"
}

patience=1 # a script on a slow machine raises it

within() { # SECONDS COMMAND...: until it succeeds, or that many times patience have passed
  local end=$((${EPOCHREALTIME/./} + $1 * 1000000 * patience))
  shift
  until "$@" >"$work/within.log" 2>&1; do
    if [ "${EPOCHREALTIME/./}" -ge $end ]; then
      cat "$work/within.log" >&2
      fail "not in time: $*"
      return 1
    fi
    sleep 0.02
  done
}

file_has() { grep -Eq -- "$2" "$1"; } # FILE REGEX

milliseconds() { echo $((${EPOCHREALTIME/./} / 1000)); }

if [ "$PRESET" = release ]; then slower=1; else slower=4; fi # what a sanitizer may cost

in_time() { # SECONDS COMMAND...: it succeeds within this time, or a sanitizer's multiple of it
  local limit=$(($1 * slower * 1000)) started took
  shift
  started=$(milliseconds)
  "$@"
  took=$(($(milliseconds) - started))
  [ $took -le $limit ] || fail "took $took ms: $*"
}
