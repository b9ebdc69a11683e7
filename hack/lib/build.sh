# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
: "${repo:?is the root of the tree}"

build_preset() { # PRESET [TARGET...]
  local preset=$1
  shift
  (cd "$repo" && cmake --preset "$preset" >"$repo/build/configure-$preset.log" 2>&1) ||
    { cat "$repo/build/configure-$preset.log"; return 1; }
  (cd "$repo" && cmake --build --preset "$preset" ${1:+--target "$@"})
}
