// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	runctypes "github.com/containerd/containerd/api/types/runc/options"
	taskapi "github.com/containerd/containerd/api/types/task"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/grpc/codes"
)

func processSpec(terminal bool, args ...string) *specs.Process {
	return &specs.Process{Args: args, Cwd: "/", Env: []string{"PATH=/bin"}, Terminal: terminal}
}

// exec starts a process in the box and returns it with the channel of its exit.
func (b *box) exec(id string, creator cio.Creator, args ...string) (containerd.Process, <-chan containerd.ExitStatus) {
	b.e.t.Helper()
	process, err := b.task.Exec(b.e.ctx, id, processSpec(false, args...), creator)
	ok(b.e.t, err)
	exits, err := process.Wait(b.e.ctx)
	ok(b.e.t, err)
	ok(b.e.t, process.Start(b.e.ctx))
	return process, exits
}

// captured is IO into a buffer.
func (e *env) captured(out *syncBuffer) cio.Creator {
	return cio.NewCreator(cio.WithStreams(nil, out, out), cio.WithFIFODir(e.t.TempDir()))
}

func TestS061_Exec(t *testing.T) {
	e := newEnv(t)
	b := e.sleeper()
	var out syncBuffer
	process, exits := b.exec("e", e.captured(&out), "sh", "-c", "echo $$; exit 5")
	equal(t, "exit status", waitExit(t, exits), 5)
	equal(t, "status", b.status("e"), taskapi.Status_STOPPED)
	state, err := b.get("e")
	ok(t, err)
	equal(t, "id", state.ID, "e")
	equal(t, "pid", state.Pid, process.Pid())
	deleted, err := e.tasks().DeleteProcess(e.ctx, &tasksapi.DeleteProcessRequest{ContainerID: b.id, ExecID: "e"})
	ok(t, err)
	equal(t, "deleted id", deleted.ID, "e")
	equal(t, "deleted status", deleted.ExitStatus, 5)
	if out.String() == "" {
		t.Error("no output")
	}
	_, err = b.get("e")
	wantCode(t, err, codes.NotFound)
}

// TestS061_InitStates walks through the states of a task and tries, in each, what is not allowed there.
func TestS061_InitStates(t *testing.T) {
	e := newEnv(t)
	b := e.create(boxOptions{args: []string{"sleep", "1000"}, io: cio.NullIO})
	refuse := func(state string, names ...string) {
		t.Helper()
		for _, name := range names {
			if err := e.taskRPC(e.ctx, name, b.id, ""); err == nil {
				t.Errorf("%s is allowed when %s", name, state)
			}
		}
	}
	refuse("created", "Pause", "Resume", "Checkpoint")
	ok(t, b.task.Start(e.ctx))
	refuse("running", "Start", "Resume", "Delete")
	ok(t, e.taskRPC(e.ctx, "Pause", b.id, ""))
	equal(t, "status", b.status(""), taskapi.Status_PAUSED)
	refuse("paused", "Start", "Pause", "Exec", "Delete")
	ok(t, e.taskRPC(e.ctx, "Resume", b.id, ""))
	equal(t, "status", b.status(""), taskapi.Status_RUNNING)
	ok(t, b.task.Kill(e.ctx, syscall.SIGKILL))
	b.exit()
	refuse("stopped", "Start", "Pause", "Resume", "Exec", "Update", "Checkpoint")
	wantCode(t, e.taskRPC(e.ctx, "Kill", b.id, ""), codes.NotFound)
	b.delete()
}

func TestS061_ExecStates(t *testing.T) {
	e := newEnv(t)
	b := e.sleeper()
	add := func() {
		t.Helper()
		_, err := e.tasks().Exec(e.ctx, &tasksapi.ExecProcessRequest{ContainerID: b.id, ExecID: "e", Spec: processOf("sleep", "1000")})
		ok(t, err)
	}
	add()
	equal(t, "status", b.status("e"), taskapi.Status_CREATED)
	ok(t, e.taskRPC(e.ctx, "ResizePty", b.id, "e"))
	ok(t, e.taskRPC(e.ctx, "DeleteProcess", b.id, "e"))
	add()
	ok(t, e.taskRPC(e.ctx, "Start", b.id, "e"))
	equal(t, "status", b.status("e"), taskapi.Status_RUNNING)
	for _, name := range []string{"Start", "DeleteProcess"} {
		if err := e.taskRPC(e.ctx, name, b.id, "e"); err == nil {
			t.Errorf("%s is allowed on a running exec", name)
		}
	}
	ok(t, e.taskRPC(e.ctx, "Kill", b.id, "e"))
	answer, err := e.tasks().Wait(e.ctx, &tasksapi.WaitRequest{ContainerID: b.id, ExecID: "e"})
	ok(t, err)
	equal(t, "exit status", answer.ExitStatus, 137)
	wantCode(t, e.taskRPC(e.ctx, "Kill", b.id, "e"), codes.NotFound)
	if err := e.taskRPC(e.ctx, "Start", b.id, "e"); err == nil {
		t.Error("Start is allowed on a stopped exec")
	}
	ok(t, e.taskRPC(e.ctx, "DeleteProcess", b.id, "e"))
}

func TestS068_FailedExecStart(t *testing.T) {
	e := newEnv(t)
	events := e.subscribe(`topic~="^/tasks/exec"`, `topic=="/tasks/exit"`)
	b := e.sleeper()
	_, err := e.tasks().Exec(e.ctx, &tasksapi.ExecProcessRequest{ContainerID: b.id, ExecID: "e", Spec: processOf("/no/such/command")})
	ok(t, err)
	waited := make(chan *tasksapi.WaitResponse, 1)
	go func() {
		answer, _ := e.tasks().Wait(e.ctx, &tasksapi.WaitRequest{ContainerID: b.id, ExecID: "e"})
		waited <- answer
	}()
	err = e.taskRPC(e.ctx, "Start", b.id, "e")
	if err == nil || !strings.Contains(err.Error(), "OCI runtime exec failed") || !strings.Contains(err.Error(), "/no/such/command") {
		t.Errorf("start gave %v", err)
	}
	within(t, "the answer of Wait", func() *tasksapi.WaitResponse { return <-waited })
	deleted, err := e.tasks().DeleteProcess(e.ctx, &tasksapi.DeleteProcessRequest{ContainerID: b.id, ExecID: "e"})
	ok(t, err)
	equal(t, "pid", deleted.Pid, 0)
	events.want(t, "/tasks/exec-added", e.ns)
	events.none(t, 100*time.Millisecond)
}

// TestS068_StateAfterFailedExecStart: what has never run has not stopped, though Wait has an answer.
func TestS068_StateAfterFailedExecStart(t *testing.T) {
	e := newEnv(t)
	b := e.sleeper()
	_, err := e.tasks().Exec(e.ctx, &tasksapi.ExecProcessRequest{ContainerID: b.id, ExecID: "e", Spec: processOf("/no/such/command")})
	ok(t, err)
	if e.taskRPC(e.ctx, "Start", b.id, "e") == nil {
		t.Error("a command that is not there was started")
	}
	ok(t, e.taskRPC(e.ctx, "Wait", b.id, "e"))
	equal(t, "status", b.status("e"), taskapi.Status_CREATED)
}

func TestS077_Pids(t *testing.T) {
	e := newEnv(t)
	b := e.run(boxOptions{args: sh("sleep 1000 & echo ready; wait")})
	eventually(t, 5*time.Second, "it runs", func() bool { return b.out.String() != "" })
	process, _ := b.exec("e", cio.NullIO, "sleep", "1000")
	answer, err := e.tasks().ListPids(e.ctx, &tasksapi.ListPidsRequest{ContainerID: b.id})
	ok(t, err)
	equal(t, "processes", len(answer.Processes), 3)
	for _, p := range answer.Processes {
		if p.Pid != process.Pid() {
			equal(t, "info of another process", p.Info == nil, true)
			continue
		}
		equal(t, "type of info", p.Info.GetTypeUrl(), "containerd.runc.v1.ProcessDetails")
		var details runctypes.ProcessDetails
		ok(t, p.Info.UnmarshalTo(&details))
		equal(t, "exec id", details.ExecID, "e")
	}
}

func TestS072_KillAll(t *testing.T) {
	e := newEnv(t)
	// The host's PID namespace: nothing ends with the first process but what is killed.
	b := e.run(boxOptions{args: sh("sleep 1000 & sleep 1000 & echo ready; wait"),
		spec: []oci.SpecOpts{oci.WithHostNamespace(specs.PIDNamespace)}})
	eventually(t, 5*time.Second, "it runs", func() bool { return b.out.String() != "" })
	pids, err := b.task.Pids(e.ctx)
	ok(t, err)
	equal(t, "processes", len(pids), 3)
	ok(t, b.task.Kill(e.ctx, syscall.SIGKILL, containerd.WithKillAll))
	equal(t, "exit status", b.exit(), 137)
	for _, p := range pids {
		eventually(t, 5*time.Second, "it is dead", func() bool { return !alive(int(p.Pid)) })
	}
}

// alive tells a running process from a zombie and from none.
func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	return fields[0] != "Z" && fields[0] != "X"
}

func TestS078_Update(t *testing.T) {
	e := newEnv(t)
	b := e.sleeper()
	limit, pids, shares := int64(64<<20), int64(77), uint64(512)
	ok(t, b.task.Update(e.ctx, containerd.WithResources(&specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: &limit}, Pids: &specs.LinuxPids{Limit: &pids},
		CPU: &specs.LinuxCPU{Shares: &shares}})))
	found := 0
	for _, row := range [][3]string{
		{"memory", "memory.limit_in_bytes", fmt.Sprint(limit)}, {"memory", "memory.max", fmt.Sprint(limit)},
		{"pids", "pids.max", "77"}, {"cpu", "cpu.shares", "512"},
	} {
		path := b.cgroup(row[0], row[1])
		if !exists(path) {
			continue // The other version of cgroups.
		}
		text, err := os.ReadFile(path)
		ok(t, err)
		equal(t, row[1], strings.TrimSpace(string(text)), row[2])
		found++
	}
	if found < 2 {
		t.Errorf("%d files looked at", found)
	}
}

func TestS079_UpdateWithoutResources(t *testing.T) {
	gantryOnly(t, "an update without resources takes the shim down")
	e := newEnv(t)
	b := e.sleeper()
	_, err := e.tasks().Update(e.ctx, &tasksapi.UpdateTaskRequest{ContainerID: b.id})
	wantCode(t, err, codes.InvalidArgument)
	equal(t, "status", b.status(""), taskapi.Status_RUNNING)
}

func TestS080_CloseIO(t *testing.T) {
	e := newEnv(t)
	var out syncBuffer
	in, feed, err := os.Pipe()
	ok(t, err)
	defer in.Close()
	b := e.run(boxOptions{args: []string{"cat"}, io: cio.NewCreator(
		cio.WithStreams(in, &out, &out), cio.WithFIFODir(t.TempDir()))})
	_, err = feed.WriteString("hello\n")
	ok(t, err)
	eventually(t, 5*time.Second, "the echo", func() bool { return out.String() == "hello\n" })
	// Without the flag nothing happens.
	_, err = e.tasks().CloseIO(e.ctx, &tasksapi.CloseIORequest{ContainerID: b.id})
	ok(t, err)
	equal(t, "status", b.status(""), taskapi.Status_RUNNING)
	_, err = feed.WriteString("world\n")
	ok(t, err)
	eventually(t, 5*time.Second, "the echo", func() bool { return out.String() == "hello\nworld\n" })
	ok(t, feed.Close())
	ok(t, b.task.CloseIO(e.ctx, containerd.WithStdinCloser))
	equal(t, "exit status", b.exit(), 0)
}

func TestS080_CloseIOTwice(t *testing.T) {
	e := newEnv(t)
	b := e.run(boxOptions{args: sh("cat; sleep 1000"), io: cio.NewCreator(
		cio.WithStreams(strings.NewReader("x"), &syncBuffer{}, &syncBuffer{}), cio.WithFIFODir(t.TempDir()))})
	for range 2 {
		ok(t, b.task.CloseIO(e.ctx, containerd.WithStdinCloser))
	}
}

func TestS081_S101_Terminal(t *testing.T) {
	e := newEnv(t)
	var out syncBuffer
	in, feed, err := os.Pipe()
	ok(t, err)
	defer in.Close()
	defer feed.Close()
	b := e.run(boxOptions{args: sh("tty; stty size; read x; stty size; exit 4"),
		spec: []oci.SpecOpts{oci.WithTTY, oci.WithTTYSize(91, 17)},
		io:   cio.NewCreator(cio.WithStreams(in, &out, nil), cio.WithTerminal, cio.WithFIFODir(t.TempDir()))})
	eventually(t, 5*time.Second, "the first lines", func() bool { return strings.Count(out.String(), "\n") >= 2 })
	ok(t, b.task.Resize(e.ctx, 123, 45))
	_, err = feed.WriteString("go\n")
	ok(t, err)
	equal(t, "exit status", b.exit(), 4)
	b.drain()
	lines := strings.Split(strings.ReplaceAll(out.String(), "\r", ""), "\n")
	if len(lines) < 4 || !strings.HasPrefix(lines[0], "/dev/") || lines[1] != "17 91" || !slices.Contains(lines, "45 123") {
		t.Errorf("output %q", lines)
	}
	b.delete()
}

func TestS081_ResizeWithoutTerminal(t *testing.T) {
	e := newEnv(t)
	b := e.sleeper()
	ok(t, b.task.Resize(e.ctx, 80, 24))
}

func TestS094_S097_ShortOutputIsComplete(t *testing.T) {
	e := newEnv(t)
	const size = 300000
	for range 3 {
		b := e.run(boxOptions{args: sh(fmt.Sprintf("head -c %d /dev/zero | tr '\\0' x", size))})
		equal(t, "exit status", b.exit(), 0)
		b.drain()
		equal(t, "bytes", len(b.out.String()), size)
		b.delete()
	}
}

func TestS105_S106_IOSchemes(t *testing.T) {
	e := newEnv(t)
	create := func(stdout string) (*box, error) {
		b := e.newContainer(boxOptions{args: sh("echo out; echo err >&2")})
		_, err := e.tasks().Create(e.ctx, &tasksapi.CreateTaskRequest{
			ContainerID: b.id, Rootfs: mountsOf(e.overlayRoot()), Stdout: stdout, Stderr: stdout})
		return b, err
	}
	if _, err := create("nonsense:///x"); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("an unknown scheme gave %v", err)
	}
	_, err := create("")
	ok(t, err)
	log := filepath.Join(t.TempDir(), "new folder", "log")
	b, err := create("file://" + strings.ReplaceAll(log, " ", "%20"))
	ok(t, err)
	ok(t, e.taskRPC(e.ctx, "Start", b.id, ""))
	_, err = e.tasks().Wait(e.ctx, &tasksapi.WaitRequest{ContainerID: b.id})
	ok(t, err)
	ok(t, e.taskRPC(e.ctx, "Delete", b.id, ""))
	text, err := os.ReadFile(log)
	ok(t, err)
	if !strings.Contains(string(text), "out\n") || !strings.Contains(string(text), "err\n") {
		t.Errorf("log %q", text)
	}
}

func TestS102_BinaryLogger(t *testing.T) {
	e := newEnv(t)
	dir := t.TempDir()
	logger := filepath.Join(dir, "logger")
	ok(t, os.WriteFile(logger, []byte("#!/bin/sh\nenv | grep ^CONTAINER > "+dir+"/env\necho \"$@\" > "+dir+
		"/args\necho x >&5\nexec 5>&-\ncat <&3 > "+dir+"/out\n"), 0o755))
	b := e.newContainer(boxOptions{args: sh("echo logged")})
	_, err := e.tasks().Create(e.ctx, &tasksapi.CreateTaskRequest{ContainerID: b.id, Rootfs: mountsOf(e.overlayRoot()),
		Stdout: "binary://" + logger + "?key=value"})
	ok(t, err)
	ok(t, e.taskRPC(e.ctx, "Start", b.id, ""))
	_, err = e.tasks().Wait(e.ctx, &tasksapi.WaitRequest{ContainerID: b.id})
	ok(t, err)
	ok(t, e.taskRPC(e.ctx, "Delete", b.id, ""))
	for file, want := range map[string]string{"args": "key value\n", "out": "logged\n"} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		ok(t, err)
		equal(t, file, string(text), want)
	}
	text, err := os.ReadFile(filepath.Join(dir, "env"))
	ok(t, err)
	for _, want := range []string{"CONTAINER_ID=" + b.id, "CONTAINER_NAMESPACE=" + e.ns} {
		if !strings.Contains(string(text), want) {
			t.Errorf("environment %q lacks %s", text, want)
		}
	}
}
