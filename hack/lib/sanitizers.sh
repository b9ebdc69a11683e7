# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The daemon's sanitizers, if its preset has any, report into files, where a daemon's end cannot hide them.
: "${repo:?is the root of the tree}"

tsan_suppressions=suppressions=$repo/hack/tsan.supp

sanitizer_options() { # FOLDER: prints VARIABLE=VALUE... for env
  echo "ASAN_OPTIONS=log_path=$1/sanitizer"
  echo "UBSAN_OPTIONS=log_path=$1/sanitizer:print_stacktrace=1"
  echo "TSAN_OPTIONS=log_path=$1/sanitizer:$tsan_suppressions"
}
