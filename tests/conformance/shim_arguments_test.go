// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	runctypes "github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"google.golang.org/protobuf/types/known/anypb"
)

const otherArguments = "it logs by name, keeps the files of execs elsewhere, asks for processes and drops what it does not know"

func runcOptions(t testing.TB, options *runctypes.Options) *anypb.Any {
	t.Helper()
	value, err := anypb.New(options)
	ok(t, err)
	value.TypeUrl = "containerd.runc.v1.Options"
	return value
}

// TestS121_ArgumentsOfEveryCall: what the OCI runtime is run for, and with which words, from a create with every option to the end.
func TestS121_ArgumentsOfEveryCall(t *testing.T) {
	ownShimOnly(t, otherArguments)
	e := newEnv(t)
	r, root := newRecorder(t), t.TempDir()
	const global = "--systemd-cgroup|"
	b := e.create(boxOptions{args: []string{"sleep", "1000"}, io: cio.NullIO, options: &runctypes.Options{
		BinaryName: r.path, Root: root, NoPivotRoot: true, NoNewKeyring: true, SystemdCgroup: true}})
	wants := func(commands ...string) {
		t.Helper()
		r.wants(b, root, global, commands...)
	}
	call := func(name, execID string) {
		t.Helper()
		ok(t, e.taskRPC(e.ctx, name, b.id, execID))
	}
	wants("create|--bundle|BUNDLE|--pid-file|BUNDLE/init.pid|--no-pivot|--no-new-keyring|ID")
	call("Start", "")
	wants("start|ID")
	for _, name := range []string{"Get", "ListPids", "ResizePty", "CloseIO"} {
		call(name, "")
	}
	_, err := e.tasks().Metrics(e.ctx, &tasksapi.MetricsRequest{Filters: []string{"id==" + b.id}})
	ok(t, err)
	call("Exec", "e")
	wants()
	_, err = e.tasks().Exec(e.ctx, &tasksapi.ExecProcessRequest{ContainerID: b.id, ExecID: "s", Spec: processOf("sleep", "1000")})
	ok(t, err)
	call("Start", "s")
	wants("exec|--process|MEMORY|--detach|--pid-file|BUNDLE/s.pid|ID")
	for _, name := range []string{"Get", "Kill", "Wait", "DeleteProcess"} {
		call(name, "s")
	}
	call("DeleteProcess", "e")
	wants()
	call("Pause", "")
	wants("pause|ID")
	call("Resume", "")
	wants("resume|ID")
	// Whatever a later version of the specification has is passed on as it is.
	const resources = `{"pids":{"limit":55}, "laterKey":{"x":[1]}}`
	_, err = e.tasks().Update(e.ctx, &tasksapi.UpdateTaskRequest{ContainerID: b.id,
		Resources: anyOf("types.containerd.io/opencontainers/runtime-spec/1/LinuxResources", resources)})
	ok(t, err)
	wants("update|--resources=-|ID")
	text, err := os.ReadFile(r.input)
	ok(t, err)
	equal(t, "resources", string(text), resources)
	kill := func(signal syscall.Signal, all bool) {
		t.Helper()
		_, err := e.tasks().Kill(e.ctx, &tasksapi.KillRequest{ContainerID: b.id, Signal: uint32(signal), All: all})
		ok(t, err)
	}
	kill(syscall.SIGUSR1, false)
	wants("kill|ID|10")
	kill(syscall.SIGKILL, true)
	wants("kill|--all|ID|9")
	b.exit()
	call("Delete", "")
	wants("delete|ID")
}

func TestS121_ArgumentsWithoutOptions(t *testing.T) {
	ownShimOnly(t, otherArguments)
	e := newEnv(t)
	r := newRecorder(t)
	const root = "/run/containerd/runc"
	terminal := cio.NewCreator(cio.WithStreams(nil, &syncBuffer{}, nil), cio.WithTerminal, cio.WithFIFODir(t.TempDir()))
	o := boxOptions{args: []string{"sleep", "1000"}, io: terminal, spec: []oci.SpecOpts{oci.WithTTY},
		options: &runctypes.Options{BinaryName: r.path}}
	b := e.run(o)
	r.wants(b, root, "", "create|--bundle|BUNDLE|--pid-file|BUNDLE/init.pid|--console-socket|SOCKET|ID", "start|ID")
	process, err := b.task.Exec(e.ctx, "e", processSpec(true, "sleep", "1000"),
		cio.NewCreator(cio.WithStreams(nil, &syncBuffer{}, nil), cio.WithTerminal, cio.WithFIFODir(t.TempDir())))
	ok(t, err)
	ok(t, process.Start(e.ctx))
	ok(t, process.Resize(e.ctx, 80, 24))
	r.wants(b, root, "", "exec|--process|MEMORY|--console-socket|SOCKET|--detach|--pid-file|BUNDLE/e.pid|ID")
	ok(t, b.task.Kill(e.ctx, syscall.SIGKILL))
	b.exit()
	r.wants(b, root, "", "kill|ID|9")
	b.delete()
	r.wants(b, root, "", "delete|ID")

	o = boxOptions{args: []string{"/no/such/command"}, io: cio.NullIO, options: o.options}
	b = e.newContainer(o)
	if b.tryCreate(o) == nil {
		t.Error("a command that is not there was found")
	}
	r.wants(b, root, "", "create|--bundle|BUNDLE|--pid-file|BUNDLE/init.pid|ID", "delete|--force|ID")
}

func TestS121_ArgumentsOfCheckpointAndRestore(t *testing.T) {
	ownShimOnly(t, otherArguments)
	e := newEnv(t)
	r, image, work := newRecorder(t), t.TempDir(), t.TempDir()
	const root = "/run/containerd/runc"
	b := e.run(boxOptions{args: []string{"sleep", "1000"}, io: cio.NullIO, options: &runctypes.Options{BinaryName: r.path}})
	r.take(t)
	checkpoint := func(options *runctypes.CheckpointOptions) {
		t.Helper()
		options.ImagePath, options.WorkPath = image, work
		value, err := anypb.New(options)
		ok(t, err)
		value.TypeUrl = "containerd.runc.v1.CheckpointOptions"
		_, err = e.tasks().Checkpoint(e.ctx, &tasksapi.CheckpointTaskRequest{ContainerID: b.id, Options: value})
		ok(t, err)
	}
	paths := "checkpoint|--image-path|" + image + "|--work-path|" + work + "|"
	checkpoint(&runctypes.CheckpointOptions{})
	r.wants(b, root, "", paths+"--leave-running|ID")
	checkpoint(&runctypes.CheckpointOptions{Exit: true, OpenTcp: true, ExternalUnixSockets: true, Terminal: true, FileLocks: true,
		EmptyNamespaces: []string{"network", "ipc"}, CgroupsMode: "soft"})
	r.wants(b, root, "", paths+"--tcp-established|--ext-unix-sk|--shell-job|--file-locks|--empty-ns|network|--empty-ns|ipc|"+
		"--manage-cgroups-mode|soft|ID")
	b.finish()
	r.take(t)

	b = e.newContainer(boxOptions{args: []string{"sleep", "1000"}})
	_, err := e.tasks().Create(e.ctx, &tasksapi.CreateTaskRequest{ContainerID: b.id, Rootfs: mountsOf(e.overlayRoot()),
		Options: runcOptions(t, &runctypes.Options{BinaryName: r.path, NoPivotRoot: true, CriuImagePath: image, CriuWorkPath: work})})
	ok(t, err)
	r.wants(b, root, "")
	ok(t, e.taskRPC(e.ctx, "Start", b.id, ""))
	r.wants(b, root, "", "restore|--image-path|"+image+"|--work-path|"+work+
		"|--detach|--pid-file|BUNDLE/init.pid|--no-pivot|--no-subreaper|--bundle|BUNDLE|ID")
	ok(t, e.taskRPC(e.ctx, "Kill", b.id, ""))
	ok(t, e.taskRPC(e.ctx, "Wait", b.id, ""))
	r.take(t)
	ok(t, e.taskRPC(e.ctx, "Delete", b.id, ""))
	r.wants(b, root, "", "delete|ID")
	equal(t, "bundle", exists(filepath.Join(b.bundle(), "config.json")), false)
}
