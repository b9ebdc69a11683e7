# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The guest's second disk: what is under test, the scripts that judge it, and room for results. Needs clients.sh.
: "${repo:?}" "${preset:?}"

unit_binaries=(shim.cgroup_test shim.events_test shim.io_test shim.loop_test shim.process_test shim.runtime_test shim.task_test core.runtime_test)

add_libraries() { # FOLDER ROOT-IMAGE BINARY...: the shared libraries that the root disk does not have
  local folder=$1 image=$2 have file
  shift 2
  have=$(debugfs -R "ls -p /usr/lib/x86_64-linux-gnu" "$image" 2>/dev/null | cut -d / -f 6)
  { ldd "$@" 2>/dev/null || true; } | awk '$2 == "=>" && $3 ~ /^\// {print $3}' | sort -u | while read -r file; do
    if grep -qxF "${file##*/}" <<<"$have"; then continue; fi
    cp -L "$file" "$folder/lib/"
    echo "$file" >>"$folder/libraries"
  done
}

# make_payload FILE ROOT-IMAGE: reads the plan from standard input.
make_payload() {
  local file=$1 image=$2 tree build=$repo/build/$preset name binaries
  tree=$(mktemp -d "$file.XXXXXX")
  mkdir -p "$tree"/{bin,lib,results,repo/build/"$preset"/{bin,tests},repo/hack,repo/tests/clients,cache/clients}
  cat >"$tree/plan"
  : >"$tree/libraries"
  echo "${guest_modules[*]}" >"$tree/modules"
  cp -r "$repo/hack/lib" "$tree/repo/hack/"
  cp -r "$repo/tests/integration" "$repo/tests/vm" "$tree/repo/tests/"
  cp -r "$repo/tests/clients/containerd" "$tree/repo/tests/clients/"
  cp -r "$(client_dir containerd)" "$tree/cache/clients/"
  for name in gantryd containerd-shim-gantry-v2; do
    install -s "$build/bin/$name" "$tree/repo/build/$preset/bin/$name"
  done
  for name in $(grep -q guest/unit "$tree/plan" && echo "${unit_binaries[@]}"); do
    install -s "$build/tests/$name" "$tree/repo/build/$preset/tests/$name"
  done
  mapfile -t binaries < <(find "$tree/repo/build/$preset" -type f)
  add_libraries "$tree" "$image" "${binaries[@]}"
  make_disk "$tree" "$file" 512
  rm -rf "$tree"
}
