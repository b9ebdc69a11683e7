# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Debian's dockerd with the daemon under test as its containerd, and its client.

docker_log=$work/dockerd.log

docker() { /usr/bin/docker -H unix:///run/docker.sock "$@"; }

# Its ports are published by docker-proxy alone: the script's network namespace needs no packet filter for that.
start_dockerd() {
  echo '{}' >$work/dockerd.json
  dockerd --config-file $work/dockerd.json --containerd $socket --data-root $work/docker --exec-root /run/docker \
    -H unix:///run/docker.sock --pidfile /run/docker.pid --cgroup-parent "/$ns" --iptables=false --ip6tables=false \
    --ip-masq=false --bip 172.31.255.1/24 --live-restore >>$docker_log 2>&1 </dev/null &
  echo $! >$work/dockerd.pid
  disown
  within 30 docker version || { tail -n 20 $docker_log >&2; return 1; }
}

inspect() { docker inspect -f "{{$2}}" "$1"; } # CONTAINER FIELD

state_is() { [ "$(inspect "$1" .State.Status)" = "$2" ]; } # CONTAINER STATUS

sleeper() { docker run -d --name "$1" "${@:2}" $image sleep 1000 >/dev/null; } # NAME FLAG...

remove() { docker rm -f "$@" >/dev/null; }
