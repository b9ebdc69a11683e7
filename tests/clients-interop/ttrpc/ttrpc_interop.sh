#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ttrpc_interop.sh TEST: builds the Go end into the cache and runs the test binary with it.
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
repo=$(realpath "$here/../../..")
. "$repo/hack/lib/toolchain.sh"
go=$(find_go) || { echo "SKIPPED: no Go tool; run hack/setup"; exit 77; }
key=$(cat "$here"/*.go "$here/go.sum" | sha256sum | cut -c1-16)
peer=$(cache_dir)/clients-interop/ttrpc-$key
if [ ! -x "$peer" ]; then
  mkdir -p "$(dirname "$peer")"
  (cd "$here" && CGO_ENABLED=0 GOTOOLCHAIN=local "$go" build -trimpath -o "$peer.$$" .)
  mv "$peer.$$" "$peer"
fi
GANTRY_TTRPC_PEER=$peer exec "$1"
