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
	sandboxapi "github.com/containerd/containerd/api/services/sandbox/v1"
	"github.com/containerd/containerd/api/types"
	taskapi "github.com/containerd/containerd/api/types/task"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/grpc/codes"
)

// shimSandboxer is the controller whose sandboxes are kept by shims.
const shimSandboxer = "shim"

// ownShim is the path of containerd-shim-gantry-v2, which serves sandboxes; without it the test is skipped.
func ownShim(t testing.TB) string {
	t.Helper()
	path := os.Getenv("GANTRY_OWN_SHIM")
	if path == "" {
		path = filepath.Join(filepath.Dir(run.bin), "containerd-shim-gantry-v2")
	}
	if !exists(path) {
		t.Skip("GANTRY_OWN_SHIM must name a shim that serves sandboxes")
	}
	return path
}

func (e *env) controller() sandboxapi.ControllerClient {
	return sandboxapi.NewControllerClient(e.conn)
}

// shimSandbox is a record of a sandbox in a shim of its own.
func shimSandbox(t testing.TB, id string) *types.Sandbox {
	return &types.Sandbox{SandboxID: id, Sandboxer: shimSandboxer, Runtime: &types.Sandbox_Runtime{Name: ownShim(t)}}
}

// pod is a sandbox with a record. It is shut down when its test ends.
type pod struct {
	e   *env
	id  string
	pid uint32
}

func (e *env) tryPod(s *types.Sandbox, change func(*sandboxapi.ControllerCreateRequest)) (*pod, error) {
	e.t.Helper()
	p := &pod{e: e, id: s.SandboxID}
	_, err := e.createSandbox(s)
	ok(e.t, err)
	request := &sandboxapi.ControllerCreateRequest{SandboxID: s.SandboxID, Sandbox: s, Sandboxer: shimSandboxer}
	if change != nil {
		change(request)
	}
	_, err = e.controller().Create(e.ctx, request)
	e.t.Cleanup(func() { _ = p.shutdown() })
	return p, err
}

// startPod makes and starts a sandbox.
func (e *env) startPod(id string) *pod {
	e.t.Helper()
	p, err := e.tryPod(shimSandbox(e.t, id), nil)
	ok(e.t, err)
	started, err := e.controller().Start(e.ctx, &sandboxapi.ControllerStartRequest{SandboxID: id, Sandboxer: shimSandboxer})
	ok(e.t, err)
	p.pid = started.Pid
	return p
}

func (p *pod) status(t testing.TB) *sandboxapi.ControllerStatusResponse {
	t.Helper()
	status, err := p.e.controller().Status(p.e.ctx, &sandboxapi.ControllerStatusRequest{SandboxID: p.id, Sandboxer: shimSandboxer, Verbose: true})
	ok(t, err)
	return status
}

func (p *pod) stop(seconds uint32) error {
	_, err := p.e.controller().Stop(p.e.ctx, &sandboxapi.ControllerStopRequest{SandboxID: p.id, Sandboxer: shimSandboxer, TimeoutSecs: seconds})
	return err
}

func (p *pod) shutdown() error {
	_, err := p.e.controller().Shutdown(p.e.ctx, &sandboxapi.ControllerShutdownRequest{SandboxID: p.id, Sandboxer: shimSandboxer})
	return err
}

type podExit struct {
	status uint32
	err    error
}

// wait answers when the sandbox has ended.
func (p *pod) wait() <-chan podExit {
	exits := make(chan podExit, 1)
	go func() {
		answer, err := p.e.controller().Wait(p.e.ctx, &sandboxapi.ControllerWaitRequest{SandboxID: p.id, Sandboxer: shimSandboxer})
		exits <- podExit{answer.GetExitStatus(), err}
	}()
	return exits
}

func (p *pod) bundle() string {
	return filepath.Join(p.e.daemon.state, "io.containerd.sandbox.controller.v1.shim", p.e.ns, p.id)
}

// member is a box in the sandbox's shim and UTS namespace.
func (p *pod) member(id string) *box {
	p.e.t.Helper()
	return p.e.run(boxOptions{id: id, args: []string{"sleep", "1000"}, io: cio.NullIO, runtime: ownShim(p.e.t),
		spec: []oci.SpecOpts{oci.WithLinuxNamespace(specs.LinuxNamespace{
			Type: specs.UTSNamespace, Path: fmt.Sprintf("/proc/%d/ns/uts", p.pid)})},
		container: []containerd.NewContainerOpts{containerd.WithSandbox(p.id)}})
}

func namespaceOf(t testing.TB, pid uint32, kind string) string {
	t.Helper()
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
	ok(t, err)
	return link
}

func TestS140_SandboxerSelection(t *testing.T) {
	e := newEnv(t)
	c := e.controller()
	for sandboxer, code := range map[string]codes.Code{"": codes.InvalidArgument, "nowhere": codes.NotFound} {
		_, err := c.Create(e.ctx, &sandboxapi.ControllerCreateRequest{SandboxID: "s", Sandbox: sandboxOf("s"), Sandboxer: sandboxer})
		wantCode(t, err, code)
		_, err = c.Start(e.ctx, &sandboxapi.ControllerStartRequest{SandboxID: "s", Sandboxer: sandboxer})
		wantCode(t, err, code)
		_, err = c.Stop(e.ctx, &sandboxapi.ControllerStopRequest{SandboxID: "s", Sandboxer: sandboxer})
		wantCode(t, err, code)
		_, err = c.Wait(e.ctx, &sandboxapi.ControllerWaitRequest{SandboxID: "s", Sandboxer: sandboxer})
		wantCode(t, err, code)
		_, err = c.Status(e.ctx, &sandboxapi.ControllerStatusRequest{SandboxID: "s", Sandboxer: sandboxer})
		wantCode(t, err, code)
		_, err = c.Shutdown(e.ctx, &sandboxapi.ControllerShutdownRequest{SandboxID: "s", Sandboxer: sandboxer})
		wantCode(t, err, code)
		_, err = c.Metrics(e.ctx, &sandboxapi.ControllerMetricsRequest{SandboxID: "s", Sandboxer: sandboxer})
		wantCode(t, err, code)
		_, err = c.Update(e.ctx, &sandboxapi.ControllerUpdateRequest{SandboxID: "s", Sandbox: sandboxOf("s"), Sandboxer: sandboxer})
		wantCode(t, err, code)
		// Containerd does not serve it.
		_, err = c.Platform(e.ctx, &sandboxapi.ControllerPlatformRequest{SandboxID: "s", Sandboxer: sandboxer})
		if run.daemon == "gantryd" {
			wantCode(t, err, code)
		}
	}
}

func TestS139_ControllerOfASandboxWithoutRuntime(t *testing.T) {
	e := newEnv(t)
	_, err := e.controller().Create(e.ctx, &sandboxapi.ControllerCreateRequest{SandboxID: "s", Sandboxer: shimSandboxer})
	if err == nil {
		t.Error("a sandbox without runtime is made")
	}
	_, err = e.controller().Start(e.ctx, &sandboxapi.ControllerStartRequest{SandboxID: "s", Sandboxer: shimSandboxer})
	if err == nil {
		t.Error("a sandbox that was never made starts")
	}
}

func TestS140_SandboxLife(t *testing.T) {
	e := newEnv(t)
	events := e.subscribe(`topic~="/sandboxes/"`)
	p, err := e.tryPod(shimSandbox(t, "pod"), nil)
	ok(t, err)
	equal(t, "created", decode[*eventtypes.SandboxCreate](events.want(t, "/sandboxes/create", e.ns)).SandboxID, "pod")
	_, err = e.controller().Create(e.ctx, &sandboxapi.ControllerCreateRequest{
		SandboxID: "pod", Sandbox: shimSandbox(t, "pod"), Sandboxer: shimSandboxer})
	wantCode(t, err, codes.AlreadyExists)
	started, err := e.controller().Start(e.ctx, &sandboxapi.ControllerStartRequest{SandboxID: "pod", Sandboxer: shimSandboxer})
	ok(t, err)
	equal(t, "started", decode[*eventtypes.SandboxStart](events.want(t, "/sandboxes/start", e.ns)).SandboxID, "pod")
	for _, kind := range []string{"ipc", "uts"} {
		if namespaceOf(t, started.Pid, kind) == namespaceOf(t, uint32(os.Getpid()), kind) {
			t.Errorf("the sandbox has the host's %s namespace", kind)
		}
	}
	status := p.status(t)
	equal(t, "state", status.State, "SANDBOX_READY")
	equal(t, "pid", status.Pid, started.Pid)
	metrics, err := e.controller().Metrics(e.ctx, &sandboxapi.ControllerMetricsRequest{SandboxID: "pod", Sandboxer: shimSandboxer})
	ok(t, err)
	equal(t, "id of the metrics", metrics.Metrics.ID, "pod")

	exits := p.wait()
	ok(t, p.stop(0))
	exit := <-exits
	ok(t, exit.err)
	equal(t, "exit status", exit.status, 137)
	equal(t, "exit event", decode[*eventtypes.SandboxExit](events.want(t, "/sandboxes/exit", e.ns)).ExitStatus, 137)
	equal(t, "state", p.status(t).State, "SANDBOX_NOTREADY")
	ok(t, p.stop(0))
	ok(t, p.shutdown())
	equal(t, "bundle", exists(p.bundle()), false)
	if left := p.status(t); left.State != "" || left.ExitedAt.AsTime().IsZero() {
		t.Errorf("status of a vanished shim: %v", left)
	}
	ok(t, p.stop(0))
}

func TestS140_SandboxAddressAndPlatform(t *testing.T) {
	gantryOnly(t, "containerd drops address and version, and serves no platform")
	e := newEnv(t)
	p, err := e.tryPod(shimSandbox(t, "pod"), nil)
	ok(t, err)
	started, err := e.controller().Start(e.ctx, &sandboxapi.ControllerStartRequest{SandboxID: "pod", Sandboxer: shimSandboxer})
	ok(t, err)
	equal(t, "address", strings.HasPrefix(started.Address, "ttrpc+unix:///"), true)
	equal(t, "version", started.Version, 3)
	status := p.status(t)
	equal(t, "address", status.Address, started.Address)
	equal(t, "version", status.Version, 3)
	platform, err := e.controller().Platform(e.ctx, &sandboxapi.ControllerPlatformRequest{SandboxID: "pod", Sandboxer: shimSandboxer})
	ok(t, err)
	equal(t, "os", platform.Platform.OS, "linux")
	// The record says who keeps it where the call does not.
	for _, sandboxer := range []string{shimSandboxer, ""} {
		_, err = e.controller().Update(e.ctx, &sandboxapi.ControllerUpdateRequest{
			SandboxID: "pod", Sandbox: shimSandbox(t, "pod"), Fields: []string{"labels"}, Sandboxer: sandboxer})
		ok(t, err)
	}
	_, err = e.controller().Update(e.ctx, &sandboxapi.ControllerUpdateRequest{SandboxID: "pod", Sandboxer: shimSandboxer})
	wantCode(t, err, codes.InvalidArgument)
	// To shut down what is unknown is no error.
	ok(t, p.shutdown())
	ok(t, p.shutdown())
}

func TestS142_FailedSandboxLeavesNothing(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "badpod"})
	e := d.env(t)
	p, err := e.tryPod(shimSandbox(t, "pod"), func(r *sandboxapi.ControllerCreateRequest) {
		r.Options = anyOf("runtime.v1.PodSandboxConfig", "\x0a\xff")
	})
	wantCode(t, err, codes.InvalidArgument)
	equal(t, "bundle", exists(p.bundle()), false)
	eventually(t, 5*time.Second, "the shim is gone", func() bool { return len(d.shims()) == 0 })

	p, err = e.tryPod(shimSandbox(t, "pod2"), func(r *sandboxapi.ControllerCreateRequest) { r.NetnsPath = "/nonexistent" })
	ok(t, err)
	_, err = e.controller().Start(e.ctx, &sandboxapi.ControllerStartRequest{SandboxID: "pod2", Sandboxer: shimSandboxer})
	if err == nil || !strings.Contains(err.Error(), "/nonexistent") {
		t.Errorf("start without its network: %v", err)
	}
	equal(t, "bundle", exists(p.bundle()), false)
	eventually(t, 5*time.Second, "the shim is gone", func() bool { return len(d.shims()) == 0 })
}

func TestS142_S143_SandboxAcrossARestart(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "podrestart"})
	e := d.env(t)
	p := e.startPod("pod")
	first := p.member("first")
	equal(t, "UTS namespace", namespaceOf(t, first.task.Pid(), "uts"), namespaceOf(t, p.pid, "uts"))
	equal(t, "shims", len(d.shims()), 1)
	d.kill()
	d.restart(t)
	status := p.status(t)
	equal(t, "state", status.State, "SANDBOX_READY")
	equal(t, "pid", status.Pid, p.pid)
	equal(t, "first", first.status(""), taskapi.Status_RUNNING)
	second := p.member("second")
	equal(t, "shims", len(d.shims()), 1)

	exits := p.wait()
	var err error
	first.exits, err = first.task.Wait(e.ctx)
	ok(t, err)
	ok(t, p.stop(1))
	ok(t, (<-exits).err)
	equal(t, "first", waitExit(t, first.exits), 137)
	equal(t, "second", waitExit(t, second.exits), 137)
	first.delete()
	second.delete()
	ok(t, p.shutdown())
	eventually(t, 5*time.Second, "the shim is gone", func() bool { return len(d.shims()) == 0 })
	equal(t, "bundle", exists(p.bundle()), false)
}

func TestS142_KilledShimOfASandbox(t *testing.T) {
	t.Parallel()
	gantryOnly(t, "containerd leaves tasks that joined a sandbox running when its shim has died")
	d := startDaemon(t, daemonOptions{name: "podkill"})
	e := d.env(t)
	p := e.startPod("pod")
	member := p.member("member")
	exits := p.wait()
	for pid := range d.shims() {
		ok(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	if exit := <-exits; exit.err == nil {
		t.Errorf("the loss of the shim counts as exit %d of the sandbox", exit.status)
	}
	waitExit(t, member.exits)
	eventually(t, 10*time.Second, "all is gone", func() bool {
		return !alive(int(p.pid)) && !alive(int(member.task.Pid())) && !exists(p.bundle()) && !exists(member.bundle())
	})
	if left := p.status(t); left.State != "" || left.ExitedAt.AsTime().IsZero() {
		t.Errorf("status of a vanished shim: %v", left)
	}
}

func TestSandboxShutdownTakesLeftoversAlong(t *testing.T) {
	t.Parallel()
	gantryOnly(t, "containerd leaves tasks that joined a sandbox running when its shim has ended")
	d := startDaemon(t, daemonOptions{name: "podleft"})
	p := d.env(t).startPod("pod")
	member := p.member("member")
	ok(t, p.shutdown())
	waitExit(t, member.exits)
	equal(t, "member alive", alive(int(member.task.Pid())), false)
	eventually(t, 5*time.Second, "all is gone", func() bool {
		return len(d.shims()) == 0 && !exists(p.bundle()) && !exists(member.bundle())
	})
}
