# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the other cases stand on.

test_first_version() {
  local text
  text=$(ctr version)
  matches 'Server:.*Version: +v?[0-9]+\.[0-9]+' "$text"
  matches 'UUID: [0-9a-f-]{36}' "$text"
}

test_first_import() {
  ctr images import "${local_flag[@]}" $image_tar
  same $image "$(ctr images ls -q)"
  same 2 "$(ctr snapshots ls | tail -n +2 | wc -l)"
}

test_first_run() {
  prints hello ctr run --rm $image first echo hello
  prints '' ctr containers ls -q
}
