// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	eventtypes "github.com/containerd/containerd/api/events"
	taskapi "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"golang.org/x/sys/unix"
)

// onlyShim is the pid of the one shim that the daemon has.
func onlyShim(t testing.TB, d *daemon) int {
	t.Helper()
	shims := d.shims()
	equal(t, "shims", len(shims), 1)
	for shim := range shims {
		return shim
	}
	return 0
}

// TestS149_NoDescriptorsInTheShim: what the shim cannot do without a descriptor fails, and nothing else does.
func TestS149_NoDescriptorsInTheShim(t *testing.T) {
	ownShimOnly(t, "without a descriptor it cannot even kill")
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "shim-emfile"})
	e := d.env(t)
	running, other := e.grouped("g"), e.grouped("g")
	shim := onlyShim(t, d)
	if linksUBSan(t, fmt.Sprintf("/proc/%d/exe", shim)) {
		t.Skip("UBSan looks at an object through a pipe, and without descriptors takes every one for broken")
	}
	o := boxOptions{args: []string{"sleep", "1000"}, io: cio.NullIO,
		spec: []oci.SpecOpts{oci.WithAnnotations(map[string]string{"io.containerd.runc.v2.group": "g"})}}
	third := e.newContainer(o)
	_, exits := running.exec("e", cio.NullIO, "sleep", "1000")
	var limit unix.Rlimit
	ok(t, unix.Prlimit(shim, unix.RLIMIT_NOFILE, nil, &limit))
	ok(t, unix.Prlimit(shim, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: limit.Max}, nil))
	if third.tryCreate(o) == nil {
		t.Error("a container was created without a descriptor")
	}
	equal(t, "state of an exec", running.status("e"), taskapi.Status_RUNNING)
	ok(t, running.task.Kill(e.ctx, syscall.SIGKILL))
	equal(t, "exit of the exec", waitExit(t, exits), 137)
	equal(t, "exit", running.exit(), 137)
	ok(t, unix.Prlimit(shim, unix.RLIMIT_NOFILE, &limit, nil))
	running.delete()
	third.task = nil
	third.wantNoTask()
	ok(t, third.tryCreate(o))
	ok(t, third.task.Start(e.ctx))
	third.finish()
	other.finish()
}

// wantNoTask waits until nothing is left of the box's task in a shim that others use.
func (b *box) wantNoTask() {
	b.e.t.Helper()
	eventually(b.e.t, 10*time.Second, "nothing is left of "+b.id, func() bool {
		return !exists(b.bundle()) && !exists(b.cgroup("pids", "")) && !exists("/run/containerd/runc/"+b.e.ns+"/"+b.id)
	})
}

// TestS116_OutOfMemoryBeforeTheStart: a process that was put into the cgroup of a container that has only been created.
func TestS116_OutOfMemoryBeforeTheStart(t *testing.T) {
	ownShimOnly(t, "it watches the memory from the start on")
	e := newEnv(t)
	events := e.subscribe(`topic=="/tasks/oom"`)
	b := e.create(boxOptions{args: []string{"sleep", "1000"}, io: cio.NullIO, spec: []oci.SpecOpts{oci.WithMemoryLimit(32 << 20)}})
	greedy := exec.Command("busybox", "sh", "-c", fmt.Sprintf("echo $$ >%s; exec busybox tail /dev/zero", b.cgroup("memory", "cgroup.procs")))
	if greedy.Run() == nil {
		t.Error("it survived")
	}
	oom := decode[*eventtypes.TaskOOM](events.want(t, "/tasks/oom", e.ns))
	equal(t, "container", oom.ContainerID, b.id)
	equal(t, "status", b.status(""), taskapi.Status_CREATED)
	ok(t, b.task.Start(e.ctx))
	b.finish()
}

// TestS147_AnIdleShimSleeps: one thread, few descriptors, and not one time that it wakes up by itself. How long it is watched, in
// seconds, may be asked for.
func TestS147_AnIdleShimSleeps(t *testing.T) {
	ownShimOnly(t, "it has a garbage collector and timers")
	t.Parallel()
	seconds, err := strconv.Atoi(envOr("GANTRY_IDLE_SECONDS", "5"))
	ok(t, err)
	d := startDaemon(t, daemonOptions{name: "idle"})
	e := d.env(t)
	b := e.run(boxOptions{args: []string{"sleep", "1000"}, io: cio.NullIO})
	shim := onlyShim(t, d)
	if linksAnyOf(t, fmt.Sprintf("/proc/%d/exe", shim), "libtsan", "libasan") {
		t.Skip("the sanitizer has threads and descriptors of its own")
	}
	time.Sleep(4 * time.Second) // until it has given back what it does not need
	before := statusOf(t, shim)
	time.Sleep(time.Duration(seconds) * time.Second)
	after := statusOf(t, shim)
	equal(t, "threads", after["Threads"], "1")
	for _, key := range []string{"voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"} {
		equal(t, key, after[key], before[key])
	}
	if fds := usageOf(t, shim).fds; fds > 12 {
		t.Errorf("%d descriptors", fds)
	}
	b.finish()
}

// statusOf reads /proc/PID/status.
func statusOf(t testing.TB, pid int) map[string]string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	ok(t, err)
	fields := map[string]string{}
	for _, line := range strings.Split(string(text), "\n") {
		if key, value, found := strings.Cut(line, ":"); found {
			fields[key] = strings.TrimSpace(value)
		}
	}
	return fields
}
