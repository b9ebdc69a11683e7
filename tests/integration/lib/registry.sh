# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Debian's docker-registry on loopback of the script's own network namespace.

registry=127.0.0.1:5000

start_registry() {
  mkdir -p $work/registry
  cat >$work/registry.yml <<YAML
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: $work/registry}, delete: {enabled: true}}
http: {addr: $registry}
YAML
  docker-registry serve $work/registry.yml >$work/registry.log 2>&1 </dev/null &
  disown
  within 10 curl -fsS http://$registry/v2/
}

manifest_digest() { # NAME TAG: as the registry says
  curl -fsSI -H 'Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json' \
    "http://$registry/v2/$1/manifests/$2" | tr -d '\r' | awk 'tolower($1) == "docker-content-digest:" {print $2}'
}
