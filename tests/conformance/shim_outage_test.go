// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	eventtypes "github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
)

// TestS048_ExitIsReportedOnceAfterAnOutage: the daemon is away for GANTRY_OUTAGE_SECONDS, in which a container ends. The shim, held back
// until somebody listens to the new daemon, reports it once.
func TestS048_ExitIsReportedOnceAfterAnOutage(t *testing.T) {
	gantryOnly(t, "an exit while the daemon is away is lost")
	ownShimOnly(t, "what it could not report is lost")
	t.Parallel()
	outage := amount(t, "GANTRY_OUTAGE_SECONDS", 1)
	d := startDaemon(t, daemonOptions{name: "outage"})
	e := d.env(t)
	b := e.run(boxOptions{args: sh("sleep 0.3; exit 5"), io: cio.NullIO, spec: []oci.SpecOpts{olderSpec}})
	shim, pid := onlyShim(t, d), b.task.Pid()
	d.kill()
	time.Sleep(time.Duration(outage) * time.Second)
	eventually(t, 5*time.Second, "it has ended", func() bool { return !exists(fmt.Sprintf("/proc/%d", pid)) })
	ok(t, syscall.Kill(shim, syscall.SIGSTOP))
	thaw := func() { _ = syscall.Kill(shim, syscall.SIGCONT) }
	t.Cleanup(thaw)
	d.restart(t)
	events := e.subscribe(`topic~="^/tasks/"`)
	thaw()
	exit := decode[*eventtypes.TaskExit](events.want(t, "/tasks/exit", e.ns))
	equal(t, "exit", fmt.Sprint(exit.ContainerID, " ", exit.ID, " ", exit.Pid, " ", exit.ExitStatus), fmt.Sprint(b.id, " ", b.id, " ", pid, " ", 5))
	events.none(t, 2*time.Second)
	ok(t, e.taskRPC(e.ctx, "Wait", b.id, ""))
	ok(t, e.taskRPC(e.ctx, "Delete", b.id, ""))
	deleted := decode[*eventtypes.TaskDelete](events.want(t, "/tasks/delete", e.ns))
	equal(t, "deletion", fmt.Sprint(deleted.ContainerID, " ", deleted.ExitStatus), fmt.Sprint(b.id, " ", 5))
	events.none(t, 200*time.Millisecond)
}
