// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	runctypes "github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/oci"
)

// selfPortrait is what a process inherits, each with a name before it.
const selfPortrait = `grep -E '^(SigBlk|SigIgn|THP_enabled)' /proc/self/status
echo fds: $(ls /proc/self/fd)
grep -E '^Max (open files|core file size|locked memory|processes|stack size)' /proc/self/limits
echo nice: $(cut -d ' ' -f 19 /proc/self/stat) slack: $(cat /proc/self/timerslack_ns 2>/dev/null) umask: $(umask)
env | grep -E '^(NOTIFY_SOCKET|LISTEN_)' || echo no variables of a service manager
ls -d /run/notify* 2>/dev/null || echo no socket of it`

var ignored = regexp.MustCompile(`SigIgn:\t([0-9a-f]{16})`)

// tamed says of the ignored signals only whether SIGPIPE is one: shells and test runners ignore others for what runs in the background.
func tamed(t testing.TB, portrait string) string {
	t.Helper()
	found := ignored.FindStringSubmatch(portrait)
	if found == nil {
		t.Fatalf("no ignored signals in %q", portrait)
	}
	mask, err := strconv.ParseUint(found[1], 16, 64)
	ok(t, err)
	return strings.Replace(portrait, found[0], fmt.Sprint("SIGPIPE ignored: ", mask>>(syscall.SIGPIPE-1)&1 != 0), 1)
}

// withoutLimits takes the resource limits out of the spec, so that those of the shim's children show.
func withoutLimits(_ context.Context, _ oci.Client, _ *containers.Container, spec *oci.Spec) error {
	spec.Process.Rlimits = nil
	return nil
}

// TestS122_WhatContainersInherit: neither the shim's way to live nor that of its daemon shows in a container. What is right there is what a
// process shows that this test starts itself.
func TestS122_WhatContainersInherit(t *testing.T) {
	// A service manager that listens, and has a socket for the daemon.
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "n"), Net: "unixgram"})
	ok(t, err)
	defer notify.Close()
	manager := []string{"NOTIFY_SOCKET=" + notify.LocalAddr().String()}
	if run.shimDir == "" { // the stock shim hands the others on
		manager = append(manager, "LISTEN_FDS=1", "LISTEN_PID=1", "LISTEN_FDNAMES=x")
	}
	d := startDaemon(t, daemonOptions{name: "inherit", env: manager})
	outside, err := exec.Command("busybox", "sh", "-c", selfPortrait).Output()
	ok(t, err)
	// The supervisor of this suite ignores SIGPIPE, and so does what it starts; a container must not.
	want := strings.Replace(tamed(t, string(outside)), "SIGPIPE ignored: true", "SIGPIPE ignored: false", 1)
	// Whoever started this suite may have given it more; the fourth is that of ls.
	want = regexp.MustCompile(`fds: [0-9 ]+`).ReplaceAllString(want, "fds: 0 1 2 3")
	for _, line := range []string{"SigBlk:\t0000000000000000", "THP_enabled:\t1"} {
		if !strings.Contains(want, line) {
			t.Skipf("this test itself was started with other things than %q: %s", line, want)
		}
	}
	for name, path := range ociRuntimes() {
		t.Run(name, func(t *testing.T) {
			e := d.env(t)
			b := e.run(boxOptions{args: sh(selfPortrait + "; echo end; exec sleep 1000"), spec: []oci.SpecOpts{withoutLimits, olderSpec},
				options: &runctypes.Options{BinaryName: path}})
			eventually(t, 10*time.Second, "its portrait", func() bool { return strings.Contains(b.out.String(), "end\n") })
			equal(t, "what the first process inherits", tamed(t, b.out.String()), want+"end\n")
			var out syncBuffer
			process, exits := b.exec("e", e.captured(&out), sh(selfPortrait)...)
			equal(t, "exit of the exec", waitExit(t, exits), 0)
			within(t, "the end of the exec's output", func() bool { process.IO().Wait(); return true })
			equal(t, "what an exec inherits", tamed(t, out.String()), want)
			b.finish()
		})
	}
}
