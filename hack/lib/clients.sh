# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Where the binaries of the modules in tests/clients are, and how each is built. Needs toolchain.sh.
: "${repo:?is the root of the tree}"

# client_dir NAME: the folder of tests/clients/NAME's binaries. A change of versions or of the recipe changes it.
client_dir() {
  local key
  key=$({ cat "$repo/tests/clients/$1/go.sum"; declare -f go_build "recipe_$1"; } | sha256sum | cut -c1-16)
  echo "$(cache_dir)/clients/$key"
}

# A recipe runs in its module's folder, with $go the Go tool, and writes to $out.
go_build() { # NAME PACKAGE [FLAG...]
  local name=$1 package=$2
  shift 2
  "$go" build -trimpath -ldflags "-s -w ${ldflags:-}" "$@" -o "$out/$name" "$package"
}

# As upstream's Makefile builds them; its shim leaves gRPC out, which matters to comparisons of memory.
recipe_containerd() {
  local top=github.com/containerd/containerd/v2 version
  version=$("$go" list -m -f '{{.Version}}' $top)
  local ldflags="-X $top/version.Version=$version"
  go_build containerd $top/cmd/containerd -tags urfave_cli_no_docs
  go_build ctr $top/cmd/ctr -tags urfave_cli_no_docs
  go_build containerd-shim-runc-v2 $top/cmd/containerd-shim-runc-v2 -tags urfave_cli_no_docs,no_grpc
}

recipe_cri-tools() {
  go_build crictl sigs.k8s.io/cri-tools/cmd/crictl
  "$go" test -c -trimpath -o "$out/critest" sigs.k8s.io/cri-tools/cmd/critest
}

recipe_nerdctl() { go_build nerdctl github.com/containerd/nerdctl/v2/cmd/nerdctl; }

recipe_buildkit() {
  go_build buildkitd github.com/moby/buildkit/cmd/buildkitd
  go_build buildctl github.com/moby/buildkit/cmd/buildctl
}

recipe_kubernetes() {
  local name
  for name in kubelet kubectl kube-apiserver kube-scheduler kube-controller-manager; do
    go_build $name k8s.io/kubernetes/cmd/$name
  done
  go_build agnhost k8s.io/kubernetes/test/images/agnhost
  "$go" test -c -trimpath -o "$out/e2e_node.test" k8s.io/kubernetes/test/e2e_node
}

recipe_etcd() { go_build etcd go.etcd.io/etcd/server/v3; }

# build_client NAME builds tests/clients/NAME into the cache, unless it is there.
build_client() {
  local name=$1 dir out go
  dir=$(client_dir "$name")
  if [ -e "$dir/.complete" ]; then return; fi
  go=$(find_go)
  echo "setup: building the clients of tests/clients/$name"
  mkdir -p "$(dirname "$dir")"
  out=$(mktemp -d "$dir.XXXXXX")
  (cd "$repo/tests/clients/$name" && export CGO_ENABLED=0 GOTOOLCHAIN=local && "recipe_$name")
  touch "$out/.complete"
  chmod 755 "$out"
  rm -rf "$dir"
  mv "$out" "$dir"
}
