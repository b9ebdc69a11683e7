// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types"
	taskapi "github.com/containerd/containerd/api/types/task"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/errdefs"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// busyboxRoot makes, once, a root file system out of the host's static busybox and returns its folder.
var busyboxRoot = sync.OnceValues(func() (string, error) {
	root := filepath.Join(run.work, "rootfs")
	for _, dir := range []string{"bin", "proc", "sys", "dev", "tmp", "root", "etc"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return "", err
		}
	}
	path, err := exec.LookPath("busybox")
	if err != nil {
		return "", fmt.Errorf("Debian's busybox-static is needed: %w", err)
	}
	binary, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(root, "bin", "busybox"), binary, 0o755); err != nil {
		return "", err
	}
	applets, err := exec.Command(path, "--list").Output()
	if err != nil {
		return "", err
	}
	for _, applet := range strings.Fields(string(applets)) {
		if applet != "busybox" {
			if err := os.Symlink("busybox", filepath.Join(root, "bin", applet)); err != nil {
				return "", err
			}
		}
	}
	return root, os.WriteFile(filepath.Join(root, "etc", "passwd"), []byte("root:x:0:0:root:/root:/bin/sh\n"), 0o644)
})

// cgroupRoot is the cgroup below which all containers of this run live.
func cgroupRoot() string { return cgroupRootOf(filepath.Dir(run.work)) }

// box is one container with a task.
type box struct {
	e         *env
	id        string
	container containerd.Container
	task      containerd.Task
	exits     <-chan containerd.ExitStatus
	out, err  syncBuffer
}

// syncBuffer is a buffer that may be read while it is written.
type syncBuffer struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.String()
}

// boxOptions say how a box differs from the plain one.
type boxOptions struct {
	id        string
	args      []string
	spec      []oci.SpecOpts
	io        cio.Creator // captured output without it
	runtime   string
	options   any
	rootfs    []mount.Mount
	container []containerd.NewContainerOpts
}

// overlayRoot is a fresh writable root file system.
func (e *env) overlayRoot() []mount.Mount {
	e.t.Helper()
	lower, err := busyboxRoot()
	ok(e.t, err)
	dir := e.t.TempDir()
	upper, work := filepath.Join(dir, "u"), filepath.Join(dir, "w")
	ok(e.t, os.Mkdir(upper, 0o755))
	ok(e.t, os.Mkdir(work, 0o755))
	return []mount.Mount{{Type: "overlay", Source: "overlay",
		Options: []string{"lowerdir=" + lower, "upperdir=" + upper, "workdir=" + work, "index=off"}}}
}

// newContainer makes the record of a box, no task yet. Its end, and its task's, is the test's end.
func (e *env) newContainer(o boxOptions) *box {
	e.t.Helper()
	b := &box{e: e, id: o.id}
	if b.id == "" {
		b.id = fmt.Sprintf("c%d", envSeq.Add(1))
	}
	if o.runtime == "" {
		o.runtime = runcName
	}
	spec := append([]oci.SpecOpts{
		oci.WithDefaultSpec(), oci.WithDefaultPathEnv, oci.WithRootFSPath("rootfs"), oci.WithProcessArgs(o.args...),
		oci.WithCgroup(cgroupRoot() + "/" + e.ns + "/" + b.id),
	}, o.spec...)
	opts := append([]containerd.NewContainerOpts{
		containerd.WithNewSpec(spec...), containerd.WithRuntime(o.runtime, o.options)}, o.container...)
	var err error
	b.container, err = e.client.NewContainer(e.ctx, b.id, opts...)
	ok(e.t, err)
	e.t.Cleanup(b.cleanup)
	return b
}

// tryCreate makes the task; nothing runs yet.
func (b *box) tryCreate(o boxOptions) error {
	b.e.t.Helper()
	creator := o.io
	if creator == nil {
		creator = cio.NewCreator(cio.WithStreams(nil, &b.out, &b.err), cio.WithFIFODir(b.e.t.TempDir()))
	}
	rootfs := o.rootfs
	if rootfs == nil {
		rootfs = b.e.overlayRoot()
	}
	task, err := b.container.NewTask(b.e.ctx, creator, containerd.WithRootFS(rootfs))
	if err != nil {
		return err
	}
	b.task = task
	b.exits, err = task.Wait(b.e.ctx)
	return err
}

// create makes container and task.
func (e *env) create(o boxOptions) *box {
	e.t.Helper()
	b := e.newContainer(o)
	ok(e.t, b.tryCreate(o))
	return b
}

// run makes and starts a box.
func (e *env) run(o boxOptions) *box {
	e.t.Helper()
	b := e.create(o)
	ok(e.t, b.task.Start(e.ctx))
	return b
}

// sleeper is a running box that does nothing until it is killed.
func (e *env) sleeper() *box {
	e.t.Helper()
	return e.run(boxOptions{args: []string{"sleep", "1000"}})
}

// exit waits for the end of the task and returns its status.
func (b *box) exit() uint32 {
	b.e.t.Helper()
	return waitExit(b.e.t, b.exits)
}

func waitExit(t testing.TB, exits <-chan containerd.ExitStatus) uint32 {
	t.Helper()
	select {
	case status := <-exits:
		ok(t, status.Error())
		return status.ExitCode()
	case <-time.After(scaled(20 * time.Second)):
		t.Fatal("no exit within 20 s")
	}
	return 0
}

// within gives up on what has no time limit of its own.
func within[T any](t testing.TB, what string, call func() T) T {
	t.Helper()
	done := make(chan T, 1)
	go func() { done <- call() }()
	select {
	case result := <-done:
		return result
	case <-time.After(scaled(30 * time.Second)):
		t.Fatalf("not within 30 s: %s", what)
		panic("unreachable")
	}
}

// drain waits until all output of the task has been copied.
func (b *box) drain() {
	b.e.t.Helper()
	within(b.e.t, "the end of the output of "+b.id, func() bool { b.task.IO().Wait(); return true })
}

// delete deletes the stopped task and returns its status. The client waits for the end of the output first.
func (b *box) delete() uint32 {
	b.e.t.Helper()
	type result struct {
		status *containerd.ExitStatus
		err    error
	}
	got := within(b.e.t, "the deletion of "+b.id, func() result {
		status, err := b.task.Delete(b.e.ctx)
		return result{status, err}
	})
	ok(b.e.t, got.err)
	return got.status.ExitCode()
}

// finish kills the task, waits and deletes it.
func (b *box) finish() {
	b.e.t.Helper()
	ok(b.e.t, b.task.Kill(b.e.ctx, syscall.SIGKILL, containerd.WithKillAll))
	b.exit()
	b.delete()
}

// get asks the daemon for the state of a process; an empty exec id means the init process.
func (b *box) get(execID string) (*taskapi.Process, error) {
	answer, err := b.e.tasks().Get(b.e.ctx, &tasksapi.GetRequest{ContainerID: b.id, ExecID: execID})
	return answer.GetProcess(), err
}

func (b *box) status(execID string) taskapi.Status {
	b.e.t.Helper()
	process, err := b.get(execID)
	ok(b.e.t, err)
	return process.Status
}

// cleanup removes whatever is left of the box, on a daemon that may have been restarted.
func (b *box) cleanup() {
	b.cleanupTask()
	if b.task != nil && b.task.IO() != nil {
		b.task.IO().Cancel()
		_ = b.task.IO().Close()
	}
	if !b.e.running() {
		return
	}
	ctx, cancel := b.lateContext()
	defer cancel()
	if err := b.container.Delete(ctx); err != nil && !errdefs.IsNotFound(err) {
		b.e.t.Errorf("container %s cannot be deleted: %v", b.id, err)
	}
}

// lateContext outlives the test's own context.
func (b *box) lateContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(namespaces.WithNamespace(context.Background(), b.e.ns), scaled(20*time.Second))
}

// cleanupTask kills and deletes the task until the daemon knows it no more.
func (b *box) cleanupTask() {
	if !b.e.running() {
		return
	}
	ctx, cancel := b.lateContext()
	defer cancel()
	tasks := b.e.tasks()
	for {
		_, _ = tasks.Resume(ctx, &tasksapi.ResumeTaskRequest{ContainerID: b.id})
		_, _ = tasks.Kill(ctx, &tasksapi.KillRequest{ContainerID: b.id, Signal: uint32(syscall.SIGKILL), All: true})
		_, err := tasks.Delete(ctx, &tasksapi.DeleteTaskRequest{ContainerID: b.id})
		if status.Code(err) == codes.NotFound {
			return
		}
		if ctx.Err() != nil {
			b.e.t.Errorf("task %s cannot be deleted: %v", b.id, err)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// bundle is the folder of the task's bundle.
func (b *box) bundle() string {
	return filepath.Join(b.e.state, "io.containerd.runtime.v2.task", b.e.ns, b.id)
}

// cgroup is a file of the box's cgroup, in the hierarchy of a controller.
func (b *box) cgroup(controller, file string) string {
	base := "/sys/fs/cgroup"
	if !exists(filepath.Join(base, "cgroup.controllers")) {
		base = filepath.Join(base, controller)
	}
	return filepath.Join(base, cgroupRoot(), b.e.ns, b.id, file)
}

func mountsOf(mounts []mount.Mount) []*types.Mount { return mount.ToProto(mounts) }
