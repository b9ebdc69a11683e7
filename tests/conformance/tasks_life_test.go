// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	taskapi "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/v2/pkg/cio"
	"google.golang.org/grpc/codes"
)

func sh(script string) []string { return []string{"sh", "-c", script} }

func TestS003_Life(t *testing.T) {
	e := newEnv(t)
	b := e.create(boxOptions{args: sh("echo out; echo err >&2; exit 7")})
	equal(t, "status", b.status(""), taskapi.Status_CREATED)
	if b.task.Pid() == 0 {
		t.Error("no pid after Create")
	}
	ok(t, b.task.Start(e.ctx))
	equal(t, "exit status", b.exit(), 7)
	equal(t, "status", b.status(""), taskapi.Status_STOPPED)
	equal(t, "status of Delete", b.delete(), 7)
	equal(t, "stdout", b.out.String(), "out\n")
	equal(t, "stderr", b.err.String(), "err\n")
	_, err := b.get("")
	wantCode(t, err, codes.NotFound)
	equal(t, "bundle", exists(b.bundle()), false)
	equal(t, "cgroup", exists(b.cgroup("memory", "")), false)
}

func TestS066_S067_ShortLives(t *testing.T) {
	e := newEnv(t)
	for range 10 {
		b := e.create(boxOptions{args: []string{"true"}, io: cio.NullIO})
		answer, err := e.tasks().Start(e.ctx, &tasksapi.StartRequest{ContainerID: b.id})
		ok(t, err)
		if answer.Pid == 0 {
			t.Error("Start answered no pid")
		}
		equal(t, "exit status", b.exit(), 0)
		_, err = e.tasks().Exec(e.ctx, &tasksapi.ExecProcessRequest{ContainerID: b.id, ExecID: "late", Spec: processOf("true")})
		if err == nil {
			t.Error("an exec was added to a stopped task")
		}
		b.delete()
	}
	b := e.sleeper()
	_, err := e.tasks().Exec(e.ctx, &tasksapi.ExecProcessRequest{ContainerID: b.id, ExecID: "early", Spec: processOf("true")})
	ok(t, err)
	ok(t, b.task.Kill(e.ctx, syscall.SIGKILL))
	b.exit()
	_, err = e.tasks().Start(e.ctx, &tasksapi.StartRequest{ContainerID: b.id, ExecID: "early"})
	wantCode(t, err, codes.FailedPrecondition)
}

func TestS082_TaskCreate(t *testing.T) {
	e := newEnv(t)
	_, err := e.tasks().Create(e.ctx, &tasksapi.CreateTaskRequest{ContainerID: "absent"})
	wantCode(t, err, codes.NotFound)
	b := e.sleeper()
	_, err = e.tasks().Create(e.ctx, &tasksapi.CreateTaskRequest{ContainerID: b.id})
	wantCode(t, err, codes.AlreadyExists)
	equal(t, "status", b.status(""), taskapi.Status_RUNNING)
	answer, err := e.tasks().List(e.ctx, &tasksapi.ListTasksRequest{})
	ok(t, err)
	equal(t, "tasks", len(answer.Tasks), 1)
	task := answer.Tasks[0]
	equal(t, "id", task.ID, b.id)
	equal(t, "pid", task.Pid, b.task.Pid())
	equal(t, "status", task.Status, taskapi.Status_RUNNING)
	// Another namespace sees nothing of it.
	answer, err = e.tasks().List(e.sub().ctx, &tasksapi.ListTasksRequest{})
	ok(t, err)
	equal(t, "tasks elsewhere", len(answer.Tasks), 0)
}

func TestS062_UnknownTask(t *testing.T) {
	e := newEnv(t)
	for _, name := range taskRPCs {
		t.Run(name, func(t *testing.T) { wantCode(t, e.taskRPC(e.ctx, name, "absent", ""), codes.NotFound) })
	}
	e.container(containerOf("record"))
	for _, name := range taskRPCs {
		t.Run("record only "+name, func(t *testing.T) { wantCode(t, e.taskRPC(e.ctx, name, "record", ""), codes.NotFound) })
	}
	b := e.sleeper()
	for _, name := range []string{"Start", "DeleteProcess", "Get", "Kill", "ResizePty", "CloseIO", "Wait"} {
		t.Run("exec "+name, func(t *testing.T) { wantCode(t, e.taskRPC(e.ctx, name, b.id, "absent"), codes.NotFound) })
	}
}

func TestS063_DuplicateExec(t *testing.T) {
	e := newEnv(t)
	b := e.sleeper()
	exec := func() error {
		_, err := e.tasks().Exec(e.ctx, &tasksapi.ExecProcessRequest{ContainerID: b.id, ExecID: "e", Spec: processOf("true")})
		return err
	}
	ok(t, exec())
	wantCode(t, exec(), codes.AlreadyExists)
	_, err := e.tasks().DeleteProcess(e.ctx, &tasksapi.DeleteProcessRequest{ContainerID: b.id, ExecID: "e"})
	ok(t, err)
	ok(t, exec())
	for _, bad := range []string{"", "a/b", "..", "-a"} {
		_, err := e.tasks().Exec(e.ctx, &tasksapi.ExecProcessRequest{ContainerID: b.id, ExecID: bad, Spec: processOf("true")})
		wantCode(t, err, codes.InvalidArgument)
	}
}

func TestS064_S065_FailedCreate(t *testing.T) {
	e := newEnv(t)
	events := e.subscribe(`topic~="^/tasks/"`)
	o := boxOptions{args: []string{"/no/such/command"}}
	b := e.newContainer(o)
	err := b.tryCreate(o)
	if err == nil || !strings.Contains(err.Error(), "OCI runtime create failed") ||
		!strings.Contains(err.Error(), "/no/such/command") {
		t.Fatalf("create gave %v", err)
	}
	events.none(t, 100*time.Millisecond)
	_, err = b.get("")
	wantCode(t, err, codes.NotFound)
	equal(t, "bundle", exists(b.bundle()), false)
	equal(t, "runtime state", exists("/run/containerd/runc/"+e.ns+"/"+b.id), false)
	equal(t, "cgroup", exists(b.cgroup("memory", "")), false)
	equal(t, "mounts", len(mountsBelow(b.bundle())), 0)
	eventually(t, 5*time.Second, "no shim is left", func() bool { return len(shimsOf(e.daemon, b.id)) == 0 })
	// The record is good for another try with a command that exists.
	ok(t, b.container.Delete(e.ctx))
	again := e.run(boxOptions{id: b.id, args: []string{"true"}})
	equal(t, "exit status", again.exit(), 0)
}

// shimsOf are the shim processes that were started for a container id.
func shimsOf(d *daemon, id string) []int {
	var found []int
	for pid, line := range d.shims() {
		if strings.Contains(line+" ", "-id "+id+" ") {
			found = append(found, pid)
		}
	}
	return found
}

func TestS069_S070_Delete(t *testing.T) {
	e := newEnv(t)
	b := e.run(boxOptions{args: sh("trap 'exit 9' TERM; echo ready; while true; do sleep 0.05; done")})
	_, err := e.tasks().Delete(e.ctx, &tasksapi.DeleteTaskRequest{ContainerID: b.id})
	if err == nil {
		t.Fatal("a running task was deleted")
	}
	equal(t, "status", b.status(""), taskapi.Status_RUNNING)
	eventually(t, 5*time.Second, "the trap is set", func() bool { return b.out.String() != "" })
	ok(t, b.task.Kill(e.ctx, syscall.SIGTERM))
	waited, err := e.tasks().Wait(e.ctx, &tasksapi.WaitRequest{ContainerID: b.id})
	ok(t, err)
	deleted, err := e.tasks().Delete(e.ctx, &tasksapi.DeleteTaskRequest{ContainerID: b.id})
	ok(t, err)
	equal(t, "exit status", deleted.ExitStatus, waited.ExitStatus)
	equal(t, "exit status", deleted.ExitStatus, 9)
	equal(t, "exit time", deleted.ExitedAt.AsTime(), waited.ExitedAt.AsTime())
	equal(t, "pid", deleted.Pid, b.task.Pid())
	_, err = e.tasks().Delete(e.ctx, &tasksapi.DeleteTaskRequest{ContainerID: b.id})
	wantCode(t, err, codes.NotFound)

	// A created task that never ran can be deleted.
	created := e.create(boxOptions{args: []string{"true"}, io: cio.NullIO})
	_, err = e.tasks().Delete(e.ctx, &tasksapi.DeleteTaskRequest{ContainerID: created.id})
	ok(t, err)
	equal(t, "cgroup", exists(created.cgroup("memory", "")), false)
}

func TestS071_S073_Kill(t *testing.T) {
	e := newEnv(t)
	b := e.sleeper()
	// Not the first process of a PID namespace, which ignores signals that it has no handler for.
	for signal, want := range map[syscall.Signal]uint32{syscall.SIGHUP: 129, syscall.SIGTERM: 143} {
		id := fmt.Sprintf("e%d", want)
		process, exits := b.exec(id, cio.NullIO, "sleep", "1000")
		ok(t, process.Kill(e.ctx, signal))
		equal(t, "exit status", waitExit(t, exits), want)
		wantCode(t, e.taskRPC(e.ctx, "Kill", b.id, id), codes.NotFound)
	}
	_, err := e.tasks().Exec(e.ctx, &tasksapi.ExecProcessRequest{ContainerID: b.id, ExecID: "e", Spec: processOf("sleep", "1000")})
	ok(t, err)
	wantCode(t, e.taskRPC(e.ctx, "Kill", b.id, "e"), codes.FailedPrecondition)
	ok(t, b.task.Kill(e.ctx, syscall.SIGKILL))
	equal(t, "exit status", b.exit(), 137)
	wantCode(t, e.taskRPC(e.ctx, "Kill", b.id, ""), codes.NotFound)
}

func TestS074_Waiters(t *testing.T) {
	e := newEnv(t)
	b := e.create(boxOptions{args: sh("exit 3")})
	type answer struct {
		status uint32
		at     time.Time
		err    error
	}
	answers := make(chan answer, 101)
	wait := func() {
		got, err := e.tasks().Wait(e.ctx, &tasksapi.WaitRequest{ContainerID: b.id})
		answers <- answer{got.GetExitStatus(), got.GetExitedAt().AsTime(), err}
	}
	for range 100 {
		go wait()
	}
	ok(t, b.task.Start(e.ctx))
	b.exit()
	wait()
	first := <-answers
	ok(t, first.err)
	equal(t, "status", first.status, 3)
	for range 100 {
		equal(t, "answer", fmt.Sprint(<-answers), fmt.Sprint(first))
	}
}

func TestS037_BundleModes(t *testing.T) {
	e := newEnv(t)
	b := e.sleeper()
	for path, want := range map[string]os.FileMode{"": 0o700, "/..": 0o711, "/rootfs": 0o755} {
		info, err := os.Stat(b.bundle() + path)
		ok(t, err)
		// What is mounted on rootfs shows its own mode.
		equal(t, "mode of bundle"+path, info.Mode().Perm(), want)
	}
	for _, file := range []string{"config.json", "work", "log", "rootfs", "bootstrap.json", "shim-binary-path"} {
		equal(t, file, exists(b.bundle()+"/"+file), true)
	}
	b.finish()
	equal(t, "bundle", exists(b.bundle()), false)
	equal(t, "work folder", exists(e.root+"/io.containerd.runtime.v2.task/"+e.ns+"/"+b.id), false)
}

func TestS019_UnknownRuntime(t *testing.T) {
	e := newEnv(t)
	for _, name := range []string{"io.containerd.absent.v9", "/no/such/shim"} {
		o := boxOptions{args: []string{"true"}, runtime: name}
		err := e.newContainer(o).tryCreate(o)
		if err == nil {
			t.Fatalf("%s ran", name)
		}
		if name[0] != '/' && !strings.Contains(err.Error(), "binary not installed") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
