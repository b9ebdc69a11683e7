# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What cases say. Inside a case every failing command ends it (set -e), so these only add the reason.

explain() { # TEXT: the first explanation of a case's end goes into its report
  echo "$*" >&2
  [ -s "$why" ] || echo "$*" | head -n 1 >"$why"
}

fail() { explain "$*"; return 1; }

skip() { echo "$*" >"$why"; exit 77; } # ends the case

same() { # WANT GOT
  [ "$1" = "$2" ] || fail "wanted '$1', got '$2'"
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

within() { # SECONDS COMMAND...: until it succeeds
  local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
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
