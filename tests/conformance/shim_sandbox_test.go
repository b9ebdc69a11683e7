// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/sandbox"
	"github.com/containerd/containerd/v2/core/sandbox/proxy"
)

// TestS144_WaitSurvivesADaemonRestart: who waits for a sandbox through the official proxy, as CRI does, waits on while the daemon is gone
// and comes back, and learns the end.
func TestS144_WaitSurvivesADaemonRestart(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "podwait"})
	e := d.env(t)
	p := e.startPod("pod")
	type end struct {
		exit sandbox.ExitStatus
		err  error
	}
	const waiters = 3
	ends := make(chan end, waiters)
	for range waiters {
		go func() {
			exit, err := proxy.NewSandboxController(e.controller(), shimSandboxer).Wait(e.ctx, p.id)
			ends <- end{exit, err}
		}()
	}
	time.Sleep(200 * time.Millisecond)
	for _, stop := range []func(){d.kill, func() { d.stop(t) }} {
		stop()
		d.restart(t)
		select {
		case early := <-ends:
			t.Fatalf("a restart counts as the end: %+v", early)
		case <-time.After(time.Second):
		}
		equal(t, "state", p.status(t).State, "SANDBOX_READY")
	}
	ok(t, p.stop(0))
	for range waiters {
		got := within(t, "the answer of Wait", func() end { return <-ends })
		ok(t, got.err)
		equal(t, "exit status", got.exit.ExitStatus, 137)
		equal(t, "time", got.exit.ExitedAt.IsZero(), false)
	}
	ok(t, p.shutdown())
	eventually(t, 5*time.Second, "the shim is gone", func() bool { return len(d.shims()) == 0 })
}
