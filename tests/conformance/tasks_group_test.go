// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	eventtypes "github.com/containerd/containerd/api/events"
	taskapi "github.com/containerd/containerd/api/types/task"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/errdefs"
)

// grouped makes a running box that shares a shim with all boxes of the group.
func (e *env) grouped(group string) *box {
	e.t.Helper()
	return e.run(boxOptions{args: []string{"sleep", "1000"}, io: cio.NullIO,
		spec: []oci.SpecOpts{oci.WithAnnotations(map[string]string{"io.containerd.runc.v2.group": group})}})
}

func TestS040_S041_Group(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "group"})
	e := d.env(t)
	boxes := []*box{e.grouped("g"), e.grouped("g"), e.grouped("g")}
	equal(t, "shims", len(d.shims()), 1)
	boxes[0].finish()
	for _, b := range boxes[1:] {
		equal(t, "status", b.status(""), taskapi.Status_RUNNING)
		_, exits := b.exec("e", cio.NullIO, "sh", "-c", "exit 3")
		equal(t, "exec", waitExit(t, exits), 3)
		b.finish()
	}
	eventually(t, 2*time.Second, "the shim is gone", func() bool { return len(d.shims()) == 0 })
}

// inSandbox makes a record of a sandbox, its own task, and a member that joins the sandbox's shim.
func (e *env) inSandbox(t testing.TB) (pause, member *box) {
	t.Helper()
	_, err := e.createSandbox(sandboxOf("pod"))
	ok(t, err)
	annotations := oci.WithAnnotations(map[string]string{"io.kubernetes.cri.sandbox-id": "pod"})
	member2 := func(_ *env, o boxOptions) *box {
		o.io, o.spec = cio.NullIO, []oci.SpecOpts{annotations}
		o.args = []string{"sleep", "1000"}
		return e.run(o)
	}
	pause = member2(e, boxOptions{id: "pod"})
	member = member2(e, boxOptions{id: "member", container: []containerd.NewContainerOpts{containerd.WithSandbox("pod")}})
	return pause, member
}

func TestS042_JoinByEndpoint(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "pod"})
	e := d.env(t)
	pause, member := e.inSandbox(t)
	equal(t, "shims", len(d.shims()), 1)
	text, err := os.ReadFile(filepath.Join(member.bundle(), "sandbox"))
	ok(t, err)
	equal(t, "sandbox file", string(text), "pod")
	d.kill()
	d.restart(t)
	for _, b := range []*box{member, pause} {
		process, err := b.get("")
		ok(t, err)
		equal(t, "status after a restart", process.Status, taskapi.Status_RUNNING)
		b.exits, err = b.task.Wait(e.ctx)
		ok(t, err)
		b.finish()
		equal(t, "bundle", exists(b.bundle()), false)
	}
	eventually(t, 2*time.Second, "the shim is gone", func() bool { return len(d.shims()) == 0 })
}

func TestS051_KilledShimOfAPod(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "pod"})
	e := d.env(t)
	pause, member := e.inSandbox(t)
	events := e.subscribe(`topic=="/tasks/exit"`)
	for pid := range d.shims() {
		ok(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	ended := map[string]bool{}
	for range 2 {
		ended[decode[*eventtypes.TaskExit](events.want(t, "/tasks/exit", e.ns)).ContainerID] = true
	}
	equal(t, "ended", fmt.Sprint(ended), "map[member:true pod:true]")
	for _, b := range []*box{pause, member} {
		eventually(t, 5*time.Second, "it is gone", func() bool {
			_, err := b.task.Status(e.ctx)
			return errdefs.IsNotFound(err) && !alive(int(b.task.Pid())) && !exists(b.bundle())
		})
	}
}
