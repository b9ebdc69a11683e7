// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"sync"
	"testing"

	eventtypes "github.com/containerd/containerd/api/events"
	runctypes "github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"golang.org/x/sys/unix"
)

// TestS092_ReusedPids: daemon, shim and containers live in a PID namespace of so few pids that they come back all the time. Each exec has
// a status of its own, and no exit is taken for another's.
func TestS092_ReusedPids(t *testing.T) {
	ownShimOnly(t, "it takes the exit of one for another's, and falls over it")
	var system unix.Utsname
	ok(t, unix.Uname(&system))
	var major, minor int
	_, err := fmt.Sscanf(unix.ByteSliceToString(system.Release[:]), "%d.%d", &major, &minor)
	ok(t, err)
	if major < 6 || (major == 6 && minor < 14) {
		t.Skip("before Linux 6.14 the number of pids is the whole machine's")
	}
	t.Parallel()
	e := startDaemon(t, daemonOptions{name: "pids", pidns: true}).env(t)
	events := e.subscribe(`topic=="/tasks/exec-started"`, `topic=="/tasks/exit"`)
	b := e.run(boxOptions{args: []string{"sleep", "1000"}, io: cio.NullIO, spec: []oci.SpecOpts{olderSpec},
		options: &runctypes.Options{BinaryName: quickRuntime()}})
	const workers, each = 4, 60
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for i := range each {
				n := worker*each + i
				if err := b.execNamed(fmt.Sprint("e", n), uint32(n%200)); err != nil {
					t.Errorf("exec %d: %v", n, err)
				}
			}
		})
	}
	group.Wait()
	pids, users, exits := map[string]uint32{}, map[uint32]int{}, map[string]string{}
	for range 2 * workers * each {
		envelope := events.next(t)
		if envelope.Topic == "/tasks/exec-started" {
			started := decode[*eventtypes.TaskExecStarted](envelope)
			pids[started.ExecID] = started.Pid
			users[started.Pid]++
			continue
		}
		exit := decode[*eventtypes.TaskExit](envelope)
		if before, twice := exits[exit.ID]; twice {
			t.Errorf("two exits of %s: %s, and %d of %d", exit.ID, before, exit.ExitStatus, exit.Pid)
		}
		exits[exit.ID] = fmt.Sprint(exit.ExitStatus, " of ", exit.Pid)
	}
	for n := range workers * each {
		id := fmt.Sprint("e", n)
		equal(t, "exit of "+id, exits[id], fmt.Sprint(n%200, " of ", pids[id]))
	}
	if len(users) == workers*each {
		t.Error("no pid came twice")
	}
	t.Logf("%d execs had %d pids", workers*each, len(users))
	b.finish()
}

// execNumber runs an exec that ends with the status n and is called after it.
func (b *box) execNumber(n int) error { return b.execNamed(fmt.Sprint("e", n), uint32(n)) }

// execNamed runs an exec that ends with a status, and deletes it. Being called beside the test, it reports nothing itself.
func (b *box) execNamed(id string, code uint32) error {
	ctx := b.e.ctx
	process, err := b.task.Exec(ctx, id, processSpec(false, "sh", "-c", fmt.Sprint("exit ", code)), cio.NullIO)
	if err != nil {
		return err
	}
	exits, err := process.Wait(ctx)
	if err != nil {
		return err
	}
	if err := process.Start(ctx); err != nil {
		return err
	}
	if status := <-exits; status.Error() != nil || status.ExitCode() != code {
		return fmt.Errorf("exit status %d, %v", status.ExitCode(), status.Error())
	}
	_, err = process.Delete(ctx)
	return err
}
