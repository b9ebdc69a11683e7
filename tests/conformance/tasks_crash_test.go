// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"path/filepath"
	"testing"
	"time"

	"conformance/internal/fakeshim"

	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
)

// TestKilledAtEachStep kills the daemon while its shim is in one of the calls of a task's life. What the daemon finds
// when it is back, with the call still under way, is a task or nothing, and the id can be used again.
func TestKilledAtEachStep(t *testing.T) {
	for _, step := range []string{"Create", "Start", "Exec", "Checkpoint", "Kill", "Delete", "Shutdown"} {
		t.Run(step, func(t *testing.T) {
			if step == "Shutdown" {
				gantryOnly(t, "a shim that was about to be shut down stays")
			}
			x := newFaked(t, fakeshim.Manners{})
			release := x.hang(step, "c")
			x.record("c")
			life := make(chan struct{})
			go func() {
				defer close(life)
				_, _ = x.tasks().Create(x.ctx, &tasksapi.CreateTaskRequest{ContainerID: "c"})
				for _, name := range []string{"Start", "Exec", "Checkpoint", "Kill", "Wait", "Delete"} {
					_ = x.taskRPC(x.ctx, name, "c", "")
				}
			}()
			eventually(t, 10*time.Second, "the shim is asked", func() bool {
				return exists(filepath.Join(x.folder, step+".c.reached"))
			})
			x.kill()
			<-life
			x.restart(t)
			release()
			b := &box{e: x.env, id: "c"}
			nothing := func() bool { return len(shimsOf(x.daemon, "c")) == 0 && !exists(b.bundle()) }
			eventually(t, 20*time.Second, "a task or nothing", func() bool {
				_, err := b.get("")
				return err == nil || nothing()
			})
			b.cleanupTask()
			eventually(t, 20*time.Second, "nothing", nothing)
			_, err := x.tasks().Create(x.ctx, &tasksapi.CreateTaskRequest{ContainerID: "c"})
			ok(t, err)
			x.start("c")
			x.end("c")
		})
	}
}

// TestKilledDuringCheckpointLeavesNoDump: what the shim dumped, a container's memory, does not outlive the restart.
func TestKilledDuringCheckpointLeavesNoDump(t *testing.T) {
	gantryOnly(t, "the dump stays in the temporary folder")
	x := newFaked(t, fakeshim.Manners{})
	temporary := func() []string { return x.dumps(t) }
	ok(t, x.create("c"))
	x.start("c")
	release := x.hang("Checkpoint", "c")
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		_ = x.taskRPC(x.ctx, "Checkpoint", "c", "")
	}()
	eventually(t, 10*time.Second, "the shim is asked", func() bool {
		return exists(filepath.Join(x.folder, "Checkpoint.c.reached"))
	})
	equal(t, "dumps under way", len(temporary()), 1)
	x.kill()
	<-answered
	release()
	x.restart(t)
	x.gc()
	eventually(t, 5*time.Second, "no dump is left", func() bool { return len(temporary()) == 0 })
	x.end("c")
}
