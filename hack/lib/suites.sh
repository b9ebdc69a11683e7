# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The suites that hack/test runs. Each prints lines "ok NAME", "not ok NAME: why", "skip NAME: why"; count_cases counts
# them. Needs $repo, $preset and $results, a folder, packages.sh and sanitizers.sh.
: "${repo:?}" "${preset:?}" "${results:?}" "${tsan_suppressions:?}"

check_suite() { # the sources themselves; clang-tidy, which takes long, is left to hack/check
  if "$repo/hack/check" --quick 2>&1 | sed 's/^/#   /'; then echo "ok check: sources"; else echo "not ok check: sources"; fi
}

unit_suite() {
  local status=0 proxysnap=$repo/build/$preset/proxysnap
  mkdir -p "$results/gtest"
  # containerd's own snapshotter in another process, for the suite of the proxy snapshotter.
  (cd "$repo/tests/conformance" && GOTOOLCHAIN=local "$(find_go)" build -o "$proxysnap" ./cmd/proxysnap)
  # A binary that a sanitizer reports on fails by itself, hence no files of reports.
  # Beside the shim that Debian has, the one of containerd 2.4.2.
  (cd "$repo/build/$preset" && TSAN_OPTIONS="$tsan_suppressions" GTEST_OUTPUT="xml:$results/gtest/" \
    GANTRY_PROXYSNAP="$proxysnap" GANTRY_SHIM_RUNC_V2="$(client_dir containerd)/containerd-shim-runc-v2" ctest -j 2 --output-on-failure \
    --output-junit "$results/ctest.xml") >"$results/ctest.log" 2>&1 || status=$?
  if [ $status != 0 ]; then sed 's/^/#   /' "$results/ctest.log" | grep -v ' Passed ' || true; fi
  if [ ! -e "$results/ctest.xml" ]; then echo "not ok ctest: ended with status $status"; return; fi
  "$repo/hack/lib/gtest-cases" "$results/ctest.xml" "$results/gtest"
}

# integration_suite SCRIPT [VARIABLE=VALUE...]
integration_suite() {
  local script=$1 status=0 log
  shift
  log="$results/$script $*"
  mkdir -p "$log"
  env DAEMON=gantryd PRESET="$preset" KEEP_LOG="$log" "$@" "$repo/tests/integration/$script" | tee "$log/cases" || status=$?
  if [ $status != 0 ] && ! grep -q '^not ok' "$log/cases"; then echo "not ok $script $*: ended with status $status"; fi
  if ! grep -Eq '^(not )?ok ' "$log/cases"; then echo "not ok $script $*: ran nothing"; fi
}

# The shims and OCI runtimes of others, in the combinations that the suites beside this leave out: what depends on them is
# the life of containers.
matrix_suite() {
  local combination
  while read -ra combination; do
    integration_suite ctr_test.sh 'CASES=run_|tasks_' "${combination[@]}" </dev/null
  done <<END
DAEMON=containerd SHIM=gantry
DAEMON=containerd SHIM=gantry RUNTIME=io.containerd.gantry.v2 OCI=crun
DAEMON=containerd-1.6 SHIM=gantry RUNTIME=io.containerd.gantry.v2 CTR=1.6
DAEMON=containerd-1.6 SHIM=gantry CTR=1.6 OCI=crun
DAEMON=gantryd SHIM=gantry OCI=crun
DAEMON=gantryd SHIM=2.4 OCI=crun
DAEMON=gantryd SHIM=debian CTR=1.6 OCI=crun
END
  integration_suite dockerd_test.sh DAEMON=containerd SHIM=gantry
  integration_suite dockerd_test.sh DAEMON=containerd-1.6 SHIM=gantry CTR=1.6
}

# conformance_suite LABEL TESTS [VARIABLE=VALUE...]: the tests that a regular expression names; without one all, which then
# have to call every RPC. The Go module makes its own namespaces and file system. What gantryd does not serve yet stands in
# tests/conformance/not_served with the reason; each of these counts as skipped.
conformance_suite() {
  local label=$1 tests=$2 not_served=$repo/tests/conformance/not_served
  shift 2
  local slower=1 go options choice=() reports=$results/$label
  if [ -n "$tests" ]; then choice=(-run "$tests"); fi
  if [ -s "$not_served" ]; then choice+=(-skip "^($(cut -d: -f1 "$not_served" | paste -sd'|'))\$"); fi
  sed "s/^/skip $label: /" "$not_served"
  go=$(find_go)
  if [ "$preset" != release ]; then slower=4; fi
  mkdir -p "$reports"
  mapfile -t options < <(sanitizer_options "$reports")
  options+=(GANTRY_DAEMON=gantryd GANTRY_BIN="$repo/build/$preset/bin/gantryd" GOTOOLCHAIN=local
    GANTRY_PRESET_TIMEOUT_SCALE="$slower" "$@")
  (
    cd "$repo/tests/conformance" || exit
    env "${options[@]}" "$go" test -json -count=1 -timeout 30m "${choice[@]}" ./... 2>&1 || true
  ) | tee "$results/$label.json" | "$repo/hack/lib/go-cases" "$label"
  find "$reports" -name 'sanitizer.*' -printf "not ok $label: sanitizer report %p\n"
}

# With gantryd's own shim all of it, with containerd's what has to do with shims.
conformance_suites() {
  local of_shims
  of_shims=$(sed -nE 's/^func (Test\w+)\(.*/\1/p' "$repo"/tests/conformance/tasks_*_test.go | paste -sd'|')
  conformance_suite conformance ''
  conformance_suite conformance-stock "^($of_shims)\$" GANTRY_SHIM_DIR="$(client_dir containerd)"
}

count_cases() { # prints the summary; fails if a case did, or if there was none
  local passed failed skipped
  passed=$(cat "$results"/*.cases | grep -c '^ok ' || true)
  failed=$(cat "$results"/*.cases | grep -c '^not ok ' || true)
  skipped=$(cat "$results"/*.cases | grep -c '^skip ' || true)
  if [ "$failed" != 0 ]; then echo && grep -h '^not ok ' "$results"/*.cases; fi
  echo
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" = 0 ] && [ "$passed" != 0 ]
}
