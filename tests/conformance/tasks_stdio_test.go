// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	runctypes "github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/grpc/codes"
)

// TestS095_NobodyReads: a create whose output nobody opens is given up after half a minute, and nothing of it stays.
func TestS095_NobodyReads(t *testing.T) {
	t.Parallel()
	e := startDaemon(t, daemonOptions{name: "deaf"}).env(t)
	b := e.newContainer(boxOptions{args: []string{"sleep", "1000"}})
	fifo := filepath.Join(t.TempDir(), "out")
	ok(t, syscall.Mkfifo(fifo, 0o600))
	events := e.subscribe(`topic~="^/tasks/"`)
	start := time.Now()
	_, err := e.tasks().Create(e.ctx, &tasksapi.CreateTaskRequest{ContainerID: b.id, Rootfs: mountsOf(e.overlayRoot()), Stdout: fifo})
	took := time.Since(start)
	if err == nil {
		t.Fatal("it was created")
	}
	t.Logf("after %v: %v", took.Round(time.Millisecond), err)
	if took < 25*time.Second || took > scaled(40*time.Second) {
		t.Errorf("it took %v", took)
	}
	events.none(t, 100*time.Millisecond)
	b.wantNothing()
	equal(t, "mounts", len(mountsBelow(b.bundle())), 0)
	_, err = b.get("")
	wantCode(t, err, codes.NotFound)
	// Whoever comes now finds nobody at the other end.
	fd, err := syscall.Open(fifo, syscall.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err == nil {
		syscall.Close(fd)
	}
	equal(t, "opening the fifo for writing", err, error(syscall.ENXIO))
}

// TestS100_OutputOfAnotherUser: a process that is not root opens its output by name, as an exec does beside it.
func TestS100_OutputOfAnotherUser(t *testing.T) {
	for name, path := range ociRuntimes() {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			const program = `echo by-name >/dev/stdout && echo by-number >/proc/self/fd/1 && echo err >/dev/stderr && stat -L -c %u /dev/stdout`
			user := specs.User{UID: 1000, GID: 1000}
			b := e.run(boxOptions{args: sh(program + "; exec sleep 1000"), spec: []oci.SpecOpts{oci.WithUIDGID(user.UID, user.GID), olderSpec},
				options: &runctypes.Options{BinaryName: path, IoUid: user.UID, IoGid: user.GID}})
			const want = "by-name\nby-number\n1000\n"
			eventually(t, 10*time.Second, "the output", func() bool { return strings.Count(b.out.String()+b.err.String(), "\n") >= 4 })
			equal(t, "output", b.out.String(), want)
			equal(t, "errors", b.err.String(), "err\n")

			var out syncBuffer
			process := processSpec(false, sh(program)...)
			process.User = user
			added, err := b.task.Exec(e.ctx, "e", process, e.captured(&out))
			ok(t, err)
			exits, err := added.Wait(e.ctx)
			ok(t, err)
			ok(t, added.Start(e.ctx))
			equal(t, "exit of the exec", waitExit(t, exits), 0)
			within(t, "the end of the exec's output", func() bool { added.IO().Wait(); return true })
			equal(t, "lines of the exec", strings.Count(out.String(), "\n"), 4)
			b.finish()
		})
	}
}
