// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	eventtypes "github.com/containerd/containerd/api/events"
	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	runctypes "github.com/containerd/containerd/api/types/runc/options"
	taskapi "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/v2/pkg/cio"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
)

// survives checks that a box still runs and can be used and ended on a daemon that was started again.
func (b *box) survives(pid uint32, out func() string) {
	e, t := b.e, b.e.t
	t.Helper()
	process, err := b.get("")
	ok(t, err)
	equal(t, "status", process.Status, taskapi.Status_RUNNING)
	equal(t, "pid", process.Pid, pid)
	equal(t, "process lives", alive(int(pid)), true)
	before := len(out())
	eventually(t, 5*time.Second, "more output", func() bool { return len(out()) > before })
	_, exits := b.exec("after", cio.NullIO, "sh", "-c", "exit 3")
	equal(t, "exec after the restart", waitExit(t, exits), 3)
	b.exits, err = b.task.Wait(e.ctx)
	ok(t, err)
	ok(t, b.task.Kill(e.ctx, syscall.SIGKILL))
	equal(t, "exit status", b.exit(), 137)
	b.delete()
	equal(t, "bundle", exists(b.bundle()), false)
}

func TestS044_S047_L192_RunningContainersOutliveTheDaemon(t *testing.T) {
	for name, end := range map[string]func(d *daemon, t testing.TB){
		"killed":     func(d *daemon, _ testing.TB) { d.kill() },
		"terminated": func(d *daemon, t testing.TB) { d.stop(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, daemonOptions{name: "again"})
			e := d.env(t)
			b := e.run(boxOptions{args: sh("while true; do echo tick; sleep 0.05; done")})
			end(d, t)
			equal(t, "process lives", alive(int(b.task.Pid())), true)
			d.restart(t)
			b.survives(b.task.Pid(), b.out.String)
		})
	}
}

func TestS048_ExitWhileTheDaemonIsAway(t *testing.T) {
	gantryOnly(t, "an exit while the daemon is away is lost")
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "away"})
	e := d.env(t)
	b := e.run(boxOptions{args: sh("sleep 0.3; exit 5"), io: cio.NullIO})
	pid := int(b.task.Pid())
	d.kill()
	eventually(t, 5*time.Second, "it has ended", func() bool { return !alive(pid) })
	d.restart(t)
	answer, err := e.tasks().Wait(e.ctx, &tasksapi.WaitRequest{ContainerID: b.id})
	ok(t, err)
	equal(t, "exit status", answer.ExitStatus, 5)
	equal(t, "status", b.status(""), taskapi.Status_STOPPED)
	deleted, err := e.tasks().Delete(e.ctx, &tasksapi.DeleteTaskRequest{ContainerID: b.id})
	ok(t, err)
	equal(t, "exit status", deleted.ExitStatus, 5)
}

// slowRunc is an OCI runtime that waits before one of its commands while a file exists.
func slowRunc(t testing.TB, command string) (options *runctypes.Options, started, gate string) {
	t.Helper()
	dir := t.TempDir()
	started, gate = filepath.Join(dir, "started"), filepath.Join(dir, "gate")
	script := filepath.Join(dir, "runc")
	ok(t, os.WriteFile(gate, nil, 0o644))
	ok(t, os.WriteFile(script, []byte(fmt.Sprintf("#!/bin/sh\nfor word in \"$@\"; do\n  if [ \"$word\" = %s ]; then\n"+
		"    touch %s\n    while [ -e %s ]; do sleep 0.02; done\n  fi\ndone\nexec runc \"$@\"\n", command, started, gate)), 0o755))
	return &runctypes.Options{BinaryName: script}, started, gate
}

// TestS049_S050_KilledDuringCreate kills the daemon while the OCI runtime creates a container.
func TestS049_S050_KilledDuringCreate(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "half"})
	e := d.env(t)
	options, started, gate := slowRunc(t, "create")
	o := boxOptions{args: []string{"sleep", "1000"}, options: options, io: cio.NullIO}
	b := e.newContainer(o)
	created := make(chan error, 1)
	go func() { created <- b.tryCreate(o) }()
	eventually(t, 10*time.Second, "the runtime creates", func() bool { return exists(started) })
	d.kill()
	<-created
	d.restart(t)
	ok(t, os.Remove(gate))
	_, err := b.get("")
	wantCode(t, err, codes.NotFound)
	eventually(t, 20*time.Second, "nothing is left", func() bool {
		return len(d.shims()) == 0 && !exists(b.bundle()) && !exists(b.cgroup("memory", "")) && len(mountsBelow(d.state)) == 0
	})
	equal(t, "runtime state", exists("/run/containerd/runc/"+e.ns+"/"+b.id), false)
}

func TestS051_KilledShim(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "dead"})
	e := d.env(t)
	b := e.sleeper()
	other := e.sleeper()
	events := e.subscribe(`topic=="/tasks/exit"`, `topic=="/tasks/delete"`)
	pid := int(b.task.Pid())
	for _, shim := range shimsOf(d, b.id) {
		ok(t, syscall.Kill(shim, syscall.SIGKILL))
	}
	exit := decode[*eventtypes.TaskExit](events.want(t, "/tasks/exit", e.ns))
	equal(t, "exit", fmt.Sprint(exit.ContainerID, exit.ID, exit.Pid, exit.ExitStatus), fmt.Sprint(b.id, b.id, pid, 137))
	deleted := decode[*eventtypes.TaskDelete](events.want(t, "/tasks/delete", e.ns))
	equal(t, "delete", deleted.ContainerID, b.id)
	eventually(t, 5*time.Second, "nothing is left of it", func() bool {
		return !alive(pid) && !exists(b.bundle()) && !exists(b.cgroup("memory", ""))
	})
	_, err := b.get("")
	wantCode(t, err, codes.NotFound)
	for _, mount := range mountsBelow(d.state) {
		if strings.HasPrefix(mount, b.bundle()) {
			t.Errorf("left mounted: %s", mount)
		}
	}
	equal(t, "the other task", other.status(""), taskapi.Status_RUNNING)
	// The name is free.
	ok(t, b.container.Delete(e.ctx))
	again := e.run(boxOptions{id: b.id, args: sh("exit 2"), io: cio.NullIO})
	equal(t, "exit status", again.exit(), 2)
}

func TestS056_LastDeleteEndsTheShim(t *testing.T) {
	e := newEnv(t)
	b := e.sleeper()
	equal(t, "shims", len(shimsOf(e.daemon, b.id)), 1)
	b.finish()
	eventually(t, 3*time.Second, "the shim is gone", func() bool { return len(shimsOf(e.daemon, b.id)) == 0 })
}

// freeze stops the shims of a box; thaw continues them.
func (b *box) freeze() (thaw func()) {
	b.e.t.Helper()
	shims := shimsOf(b.e.daemon, b.id)
	equal(b.e.t, "shims", len(shims), 1)
	thaw = func() { _ = syscall.Kill(shims[0], syscall.SIGCONT) }
	ok(b.e.t, syscall.Kill(shims[0], syscall.SIGSTOP))
	b.e.t.Cleanup(thaw)
	return thaw
}

func TestS059_FrozenShimDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	e := startDaemon(t, daemonOptions{name: "ice"}).env(t)
	frozen, other := e.sleeper(), e.sleeper()
	thaw := frozen.freeze()
	start := time.Now()
	equal(t, "the other task", other.status(""), taskapi.Status_RUNNING)
	_, exits := other.exec("e", cio.NullIO, "true")
	equal(t, "exec", waitExit(t, exits), 0)
	third := e.run(boxOptions{args: []string{"true"}, io: cio.NullIO})
	equal(t, "exit status", third.exit(), 0)
	third.delete()
	if took := time.Since(start); took > scaled(10*time.Second) {
		t.Errorf("took %v beside a frozen shim", took)
	}
	frozen.checkStuck(2)
	thaw()
	equal(t, "the thawed task", frozen.status(""), taskapi.Status_RUNNING)
	frozen.finish()
}

// checkStuck asks about a task whose shim does not answer: gantryd tells what it knows at once, containerd waits for its
// state timeout, gives up, and leaves the task out of lists.
func (b *box) checkStuck(tasks int) {
	t := b.e.t
	t.Helper()
	start := time.Now()
	process, err := b.get("")
	patience := 6 * time.Second
	if run.daemon == "gantryd" {
		ok(t, err)
		equal(t, "status", process.Status, taskapi.Status_RUNNING)
		patience = time.Second
	} else {
		wantCode(t, err, codes.DeadlineExceeded)
		tasks--
	}
	if took := time.Since(start); took > scaled(patience) {
		t.Errorf("Get took %v", took)
	}
	start = time.Now()
	list, err := b.e.tasks().List(b.e.ctx, &tasksapi.ListTasksRequest{})
	ok(t, err)
	equal(t, "tasks", len(list.Tasks), tasks)
	if took := time.Since(start); took > scaled(patience) {
		t.Errorf("List took %v", took)
	}
}

func TestS059_RestartWithFrozenShim(t *testing.T) {
	gantryOnly(t, "a frozen shim blocks the start, and is then taken for dead")
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "icy"})
	e := d.env(t)
	frozen, other := e.sleeper(), e.sleeper()
	thaw := frozen.freeze()
	d.kill()
	start := time.Now()
	d.restart(t)
	equal(t, "the other task", other.status(""), taskapi.Status_RUNNING)
	if took := time.Since(start); took > scaled(4*time.Second) {
		t.Errorf("the start took %v", took)
	}
	thaw()
	eventually(t, 10*time.Second, "the thawed task answers", func() bool {
		process, err := frozen.get("")
		return err == nil && process.Status == taskapi.Status_RUNNING
	})
}

func TestS060_NothingAccumulates(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "many"})
	e := d.env(t)
	round := func() {
		b := e.run(boxOptions{args: sh("exit 0"), io: cio.NullIO})
		equal(t, "exit status", b.exit(), 0)
		b.delete()
		ok(t, b.container.Delete(e.ctx))
	}
	for range 3 {
		round()
	}
	before := d.quiesce()
	for range 15 {
		round()
	}
	eventually(t, 5*time.Second, "all shims are gone", func() bool { return len(d.shims()) == 0 })
	if after := d.quiesce(); after > before+1 {
		t.Errorf("%d descriptors, %d before", after, before)
	}
	equal(t, "mounts", len(mountsBelow(d.state)), 0)
	for _, dir := range []string{filepath.Join(d.state, "io.containerd.runtime.v2.task", e.ns),
		filepath.Join(d.root, "io.containerd.runtime.v2.task", e.ns), "/run/containerd/runc/" + e.ns} {
		if left := names(t, dir); len(left) != 0 {
			t.Errorf("left in %s: %v", dir, left)
		}
	}
	if left := names(t, filepath.Join(d.state, "s")); len(left) != 0 {
		t.Errorf("sockets left: %v", left)
	}
}

func TestS046_BundleRemovalSpareMounts(t *testing.T) {
	e := newEnv(t)
	b := e.sleeper()
	source := folderWith(t, "precious")
	target := filepath.Join(b.bundle(), "rootfs", "extra")
	ok(t, os.Mkdir(target, 0o755))
	ok(t, unix.Mount(source, target, "", unix.MS_BIND, ""))
	b.finish()
	equal(t, "bundle", exists(b.bundle()), false)
	equal(t, "precious file", exists(filepath.Join(source, "precious")), true)
	equal(t, "mounted", isMounted(target), false)
}

// oldShimDir is where Debian's containerd 1.6 has its shim.
func oldShimDir(t testing.TB) string {
	t.Helper()
	dir := envOr("GANTRY_OLD_SHIM_DIR", "/usr/bin")
	if !exists(filepath.Join(dir, "containerd-shim-runc-v2")) {
		t.Skipf("no older shim in %s", dir)
	}
	return dir
}

func TestS003_OldStockShim(t *testing.T) {
	gantryOnly(t, "the shim of 1.6 does not understand the newer dialect")
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "old", pathDir: oldShimDir(t)})
	e := d.env(t)
	b := e.run(boxOptions{args: sh("echo old; while true; do echo tick; sleep 0.05; done")})
	_, exits := b.exec("e", cio.NullIO, "sh", "-c", "exit 4")
	equal(t, "exec", waitExit(t, exits), 4)
	d.kill()
	d.restart(t)
	b.survives(b.task.Pid(), b.out.String)
}
