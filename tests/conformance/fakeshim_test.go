// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"conformance/internal/fakeshim"

	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	taskapi "github.com/containerd/containerd/api/types/task"
	"google.golang.org/grpc/codes"
)

const fakeRuntime = "io.containerd.fake.v1"

// faked is an environment on a daemon that knows the fake shim.
type faked struct {
	*env
	folder string
}

func newFaked(t *testing.T, manners fakeshim.Manners) *faked {
	t.Helper()
	t.Parallel()
	dir := t.TempDir()
	x := &faked{folder: filepath.Join(dir, "manners")}
	ok(t, os.Mkdir(x.folder, 0o755))
	self, err := os.Executable()
	ok(t, err)
	ok(t, os.Symlink(self, filepath.Join(dir, fakeShimName)))
	x.set(t, manners)
	x.env = startDaemon(t, daemonOptions{name: "fake", pathDir: dir, env: []string{fakeshim.EnvFolder + "=" + x.folder}}).env(t)
	return x
}

func (x *faked) set(t testing.TB, manners fakeshim.Manners) {
	t.Helper()
	text, err := json.Marshal(manners)
	ok(t, err)
	ok(t, os.WriteFile(filepath.Join(x.folder, "manners"), text, 0o644))
}

// hang makes a method of a container's shim hang until the returned function is called.
func (x *faked) hang(method, id string) func() {
	x.t.Helper()
	path := filepath.Join(x.folder, method+"."+id)
	ok(x.t, os.WriteFile(path, nil, 0o644))
	x.t.Cleanup(func() { os.Remove(path) })
	return func() { os.Remove(path) }
}

// record makes the container record of a fake container. Its task, if any, ends with the test.
func (x *faked) record(id string) {
	x.t.Helper()
	c := containerOf(id)
	c.Runtime.Name = fakeRuntime
	c.Spec = anyOf("types.containerd.io/opencontainers/runtime-spec/1/Spec",
		`{"ociVersion":"1.0.2","process":{"args":["x"],"cwd":"/"},"root":{"path":"rootfs"}}`)
	x.container(c)
	x.t.Cleanup((&box{e: x.env, id: id}).cleanupTask)
}

// create makes record and task of a fake container.
func (x *faked) create(id string) error {
	x.t.Helper()
	x.record(id)
	_, err := x.tasks().Create(x.ctx, &tasksapi.CreateTaskRequest{ContainerID: id})
	return err
}

func (x *faked) start(id string) {
	x.t.Helper()
	ok(x.t, x.taskRPC(x.ctx, "Start", id, ""))
}

// end kills, awaits and deletes a fake task.
func (x *faked) end(id string) {
	x.t.Helper()
	ok(x.t, x.taskRPC(x.ctx, "Kill", id, ""))
	answer, err := x.tasks().Wait(x.ctx, &tasksapi.WaitRequest{ContainerID: id})
	ok(x.t, err)
	equal(x.t, "exit status", answer.ExitStatus, 137)
	ok(x.t, x.taskRPC(x.ctx, "Delete", id, ""))
	x.gone(id)
}

// gone waits for the end of a deleted task's shim.
func (x *faked) gone(id string) {
	x.t.Helper()
	eventually(x.t, 5*time.Second, "the shim is gone", func() bool { return len(shimsOf(x.daemon, id)) == 0 })
	bundle := (&box{e: x.env, id: id}).bundle()
	equal(x.t, "bundle", exists(bundle), false)
}

func TestS043_ShimThatNeverOpensItsLog(t *testing.T) {
	x := newFaked(t, fakeshim.Manners{})
	ok(t, x.create("c"))
	x.start("c")
	process, err := (&box{e: x.env, id: "c"}).get("")
	ok(t, err)
	equal(t, "status", process.Status, taskapi.Status_RUNNING)
	x.end("c")
}

func TestS004_LegacyShim(t *testing.T) {
	gantryOnly(t, "shims of the older dialect are refused")
	x := newFaked(t, fakeshim.Manners{Legacy: true, Services: []string{"containerd.task.v2.Task"}})
	for _, id := range []string{"a", "b"} {
		ok(t, x.create(id))
		x.start(id)
		equal(t, "server processes", len(shimsOf(x.daemon, id)), 1)
	}
	x.end("a")
	x.end("b")
}

func TestS034_ShutdownByClose(t *testing.T) {
	x := newFaked(t, fakeshim.Manners{ShutdownByClose: true})
	ok(t, x.create("c"))
	x.start("c")
	x.end("c")
}

func TestS036_Downgrade(t *testing.T) {
	x := newFaked(t, fakeshim.Manners{Services: []string{"containerd.task.v2.Task"}})
	ok(t, x.create("c"))
	x.start("c")
	x.kill()
	x.restart(t)
	process, err := (&box{e: x.env, id: "c"}).get("")
	ok(t, err)
	equal(t, "status", process.Status, taskapi.Status_RUNNING)
	x.end("c")
}

func TestS075_S083_StuckState(t *testing.T) {
	x := newFaked(t, fakeshim.Manners{})
	for _, id := range []string{"good", "stuck"} {
		ok(t, x.create(id))
		x.start(id)
	}
	release := x.hang("State", "stuck")
	(&box{e: x.env, id: "stuck"}).checkStuck(2)
	release()
	x.end("stuck")
	x.end("good")
}

func TestS075_ConfiguredStateTimeout(t *testing.T) {
	t.Parallel()
	x := &faked{folder: t.TempDir()}
	dir := t.TempDir()
	self, err := os.Executable()
	ok(t, err)
	ok(t, os.Symlink(self, filepath.Join(dir, fakeShimName)))
	x.set(t, fakeshim.Manners{})
	x.env = startDaemon(t, daemonOptions{name: "fake", pathDir: dir, env: []string{fakeshim.EnvFolder + "=" + x.folder},
		config: "[timeouts]\n'io.containerd.timeout.task.state' = '300ms'\n"}).env(t)
	ok(t, x.create("c"))
	release := x.hang("State", "c")
	exec := "" // gantryd knows all of an init process, and asks about others
	if run.daemon == "gantryd" {
		exec = "e"
	}
	start := time.Now()
	_, err = (&box{e: x.env, id: "c"}).get(exec)
	wantCode(t, err, codes.DeadlineExceeded)
	if took := time.Since(start); took > scaled(1900*time.Millisecond) {
		t.Errorf("Get took %v", took)
	}
	release()
	x.end("c")
}

func TestS059_OneHangingCreateDelaysNobody(t *testing.T) {
	x := newFaked(t, fakeshim.Manners{})
	release := x.hang("Create", "stuck")
	created := make(chan error, 1)
	go func() { created <- x.create("stuck") }()
	eventually(t, 10*time.Second, "the shim runs", func() bool { return len(shimsOf(x.daemon, "stuck")) == 1 })
	start := time.Now()
	ok(t, x.create("good"))
	x.start("good")
	x.end("good")
	if took := time.Since(start); took > scaled(15*time.Second) {
		t.Errorf("took %v beside a hanging Create", took)
	}
	release()
	ok(t, <-created)
	x.end("stuck")
}

// TestS084_DisconnectedCaller: whoever hangs up during Create leaves either a task or nothing, never half a one.
func TestS084_DisconnectedCaller(t *testing.T) {
	gantryOnly(t, "the shim of an interrupted Create may stay")
	x := newFaked(t, fakeshim.Manners{})
	x.hangUp(t, func() bool { return exists(filepath.Join(x.folder, "Create.c.reached")) })
}

func TestS084_DisconnectedCallerDuringLaunch(t *testing.T) {
	gantryOnly(t, "a shim whose launch is interrupted stays")
	for range 5 {
		t.Run("", func(t *testing.T) {
			x := newFaked(t, fakeshim.Manners{})
			x.hangUp(t, func() bool { return len(shimsOf(x.daemon, "c")) > 0 })
		})
	}
}

// hangUp cancels a Create at a moment of its choice.
func (x *faked) hangUp(t *testing.T, moment func() bool) {
	t.Helper()
	release := x.hang("Create", "c")
	x.record("c")
	ctx, cancel := context.WithCancel(x.ctx)
	created := make(chan error, 1)
	go func() {
		_, err := x.tasks().Create(ctx, &tasksapi.CreateTaskRequest{ContainerID: "c"})
		created <- err
	}()
	eventually(t, 10*time.Second, "the moment comes", moment)
	cancel()
	wantCode(t, <-created, codes.Canceled)
	release()
	b := &box{e: x.env, id: "c"}
	nothing := func() bool { return len(shimsOf(x.daemon, "c")) == 0 && !exists(b.bundle()) }
	eventually(t, 10*time.Second, "a task or nothing", func() bool {
		_, err := b.get("")
		return err == nil || nothing()
	})
	b.cleanupTask()
	eventually(t, 10*time.Second, "nothing", nothing)
}

// TestS055_RepeatedDelete gives up on a Delete and repeats it.
func TestS055_RepeatedDelete(t *testing.T) {
	x := newFaked(t, fakeshim.Manners{})
	ok(t, x.create("c"))
	x.start("c")
	ok(t, x.taskRPC(x.ctx, "Kill", "c", ""))
	release := x.hang("Delete", "c")
	if x.taskRPC(shortened(t, x.ctx, 300*time.Millisecond), "Delete", "c", "") == nil {
		t.Error("a hanging Delete succeeded")
	}
	release()
	b := &box{e: x.env, id: "c"}
	b.cleanupTask()
	eventually(t, 10*time.Second, "nothing is left", func() bool { return len(shimsOf(x.daemon, "c")) == 0 && !exists(b.bundle()) })
}

// TestS084_DisconnectedKiller hangs up while its Kill is under way: the process dies all the same.
func TestS084_DisconnectedKiller(t *testing.T) {
	x := newFaked(t, fakeshim.Manners{})
	ok(t, x.create("c"))
	x.start("c")
	release := x.hang("Kill", "c")
	ctx, cancel := context.WithCancel(x.ctx)
	killed := make(chan error, 1)
	go func() { killed <- x.taskRPC(ctx, "Kill", "c", "") }()
	eventually(t, 10*time.Second, "the shim is asked", func() bool { return exists(filepath.Join(x.folder, "Kill.c.reached")) })
	cancel()
	wantCode(t, <-killed, codes.Canceled)
	release()
	answer, err := x.tasks().Wait(x.ctx, &tasksapi.WaitRequest{ContainerID: "c"})
	ok(t, err)
	equal(t, "exit status", answer.ExitStatus, 137)
	ok(t, x.taskRPC(x.ctx, "Delete", "c", ""))
	x.gone("c")
}

// TestS083_ListWhileTasksVanish lists without a pause while tasks come and go.
func TestS083_ListWhileTasksVanish(t *testing.T) {
	x := newFaked(t, fakeshim.Manners{})
	ok(t, x.create("stays"))
	x.start("stays")
	stop, lists := make(chan struct{}), make(chan int, 1)
	go func() {
		done := 0
		for ; !stopped(stop); done++ {
			answer, err := x.tasks().List(x.ctx, &tasksapi.ListTasksRequest{})
			if err != nil {
				t.Errorf("list: %v", err)
				break
			}
			if !slices.ContainsFunc(answer.Tasks, func(p *taskapi.Process) bool { return p.ID == "stays" }) {
				t.Errorf("the task that stays is not among %v", answer.Tasks)
			}
		}
		lists <- done
	}()
	for i := range 5 {
		id := fmt.Sprintf("passing%d", i)
		ok(t, x.create(id))
		x.start(id)
		x.end(id)
	}
	close(stop)
	if <-lists == 0 {
		t.Error("nothing was listed")
	}
	x.end("stays")
}
