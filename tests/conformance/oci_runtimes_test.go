// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// script writes a program for the shell.
func script(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	ok(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755))
	return path
}

// quickRuntime is crun where there is one: it takes a fraction of the time.
func quickRuntime() string {
	if path, err := exec.LookPath("crun"); err == nil {
		return path
	}
	return "runc"
}

// amount is a number that the environment may change.
func amount(t testing.TB, variable string, fallback int) int {
	t.Helper()
	n, err := strconv.Atoi(envOr(variable, strconv.Itoa(fallback)))
	ok(t, err)
	if n < 1 {
		t.Fatalf("%s is %d: want at least 1", variable, n)
	}
	return n
}

// recorder is runc, which notes the words of each of its commands. It says that it has made a checkpoint, restores by running anew,
// and manages cgroups without systemd.
type recorder struct {
	path, log, input string
	seen             int
}

func newRecorder(t testing.TB) *recorder {
	t.Helper()
	dir := t.TempDir()
	r := &recorder{log: filepath.Join(dir, "log"), input: filepath.Join(dir, "input")}
	r.path = script(t, "recorder", fmt.Sprintf(`IFS='|'
printf '%%s\n' "$*" >>%s
unset IFS
command= root= bundle= pid= last=
for word; do
  case $last in --root) root=$word;; --bundle) bundle=$word;; --pid-file) pid=$word;; esac
  case $word in checkpoint) exit 0;; restore|update) command=$word;; esac
  last=$word
done
if [ "$command" = restore ]; then exec runc --root "$root" run --detach --bundle "$bundle" --pid-file "$pid" "$last"; fi
if [ "$command" = update ]; then tee %s | runc "$@"; exit; fi
left=$#
while [ $left != 0 ]; do
  word=$1
  shift
  [ "$word" = --systemd-cgroup ] || set -- "$@" "$word"
  left=$((left-1))
done
exec runc "$@"
`, r.log, r.input))
	return r
}

// take is what has been noted since it was asked last.
func (r *recorder) take(t testing.TB) []string {
	t.Helper()
	text, err := os.ReadFile(r.log)
	if !os.IsNotExist(err) {
		ok(t, err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(text) == 0 {
		return nil
	}
	fresh := lines[r.seen:]
	r.seen = len(lines)
	return fresh
}

// What differs from run to run in a command: the files in the shim's memory, and that of a terminal.
var (
	inMemory = regexp.MustCompile(`\|/proc/\d+/fd/\d+\|`)
	console  = regexp.MustCompile(`\|--console-socket\|[^|]+\|`)
)

// wants checks what a box had its runtime do since it was asked last.
func (r *recorder) wants(b *box, root, global string, commands ...string) {
	t := b.e.t
	t.Helper()
	var want []string
	for _, command := range commands {
		want = append(want, "--root|ROOT|--log|MEMORY|--log-format|json|"+global+command)
	}
	var got []string
	for _, line := range r.take(t) {
		line = strings.ReplaceAll(line, root+"/"+b.e.ns+"|", "ROOT|")
		line = strings.ReplaceAll(line, b.bundle(), "BUNDLE")
		line = inMemory.ReplaceAllString(line, "|MEMORY|")
		if run.daemon == "containerd" && strings.Contains(line, "|--log|BUNDLE/log.json|") {
			continue // its clean-up runs the shim's program, which has no memory
		}
		line = console.ReplaceAllString(line, "|--console-socket|SOCKET|")
		if strings.HasSuffix(line, "|"+b.id) {
			line = strings.TrimSuffix(line, b.id) + "ID"
		}
		got = append(got, strings.ReplaceAll(line, "|"+b.id+"|", "|ID|"))
	}
	if !slices.Equal(got, want) {
		t.Errorf("commands:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}
