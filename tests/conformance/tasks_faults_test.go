// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	eventtypes "github.com/containerd/containerd/api/events"
	runctypes "github.com/containerd/containerd/api/types/runc/options"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// mortalRunc is runc, killed in one of its commands as long after its start as a file says.
func mortalRunc(t testing.TB, command string) (options *runctypes.Options, delay string) {
	t.Helper()
	dir := t.TempDir()
	delay = filepath.Join(dir, "delay")
	script := filepath.Join(dir, "runc")
	ok(t, os.WriteFile(script, []byte(fmt.Sprintf(`#!/bin/sh
for word in "$@"; do
  if [ "$word" = %s ] && read delay <%s; then
    (sleep "$delay"; kill -9 $$) </dev/null >/dev/null 2>&1 &
  fi
done
exec runc "$@"
`, command, delay)), 0o755))
	return &runctypes.Options{BinaryName: script}, delay
}

// delays are the moments at which a command is killed: all are within what a quick machine needs for it.
func delays() []string {
	var all []string
	for millisecond := 0; millisecond < 40; millisecond += 4 {
		all = append(all, fmt.Sprintf("0.%03d", millisecond))
	}
	return all
}

// processesOf counts those in the box's cgroup.
func (b *box) processesOf() int {
	text, err := os.ReadFile(b.cgroup("pids", "cgroup.procs"))
	if err != nil {
		return 0
	}
	return len(strings.Fields(string(text)))
}

// wantNothing waits until nothing is left of the box but its record.
func (b *box) wantNothing() {
	t := b.e.t
	t.Helper()
	eventually(t, 10*time.Second, "nothing is left of "+b.id, func() bool {
		_, err := b.get("")
		return status.Code(err) == codes.NotFound && !exists(b.bundle()) && b.processesOf() == 0 && !exists(b.cgroup("pids", "")) &&
			!exists("/run/containerd/runc/"+b.e.ns+"/"+b.id) && len(shimsOf(b.e.daemon, b.id)) == 0
	})
}

func TestRuntimeKilledDuringCreate(t *testing.T) {
	ownShimOnly(t, "the cgroup of a half-made container stays")
	t.Parallel()
	e := startDaemon(t, daemonOptions{name: "killed-create"}).env(t)
	options, delay := mortalRunc(t, "create")
	failed := 0
	for _, moment := range delays() {
		ok(t, os.WriteFile(delay, []byte(moment+"\n"), 0o644))
		o := boxOptions{args: []string{"sleep", "1000"}, io: cio.NullIO, options: options}
		b := e.newContainer(o)
		if err := b.tryCreate(o); err != nil {
			failed++
			b.task = nil
		} else {
			ok(t, b.task.Start(e.ctx))
			b.finish()
		}
		b.wantNothing()
		ok(t, os.Remove(delay))
		ok(t, b.tryCreate(o)) // the id is free
		ok(t, b.task.Start(e.ctx))
		b.finish()
		b.wantNothing()
	}
	if failed == 0 {
		t.Error("none was killed in time")
	}
}

func TestRuntimeKilledDuringStart(t *testing.T) {
	t.Parallel()
	e := startDaemon(t, daemonOptions{name: "killed-start"}).env(t)
	options, delay := mortalRunc(t, "start")
	failed := 0
	for _, moment := range delays() {
		ok(t, os.WriteFile(delay, []byte(moment+"\n"), 0o644))
		b := e.create(boxOptions{args: []string{"sleep", "1000"}, io: cio.NullIO, options: options})
		if b.task.Start(e.ctx) != nil {
			failed++
		}
		ok(t, os.Remove(delay))
		// Whether it runs or not, it can be ended, and its end is told.
		b.finish()
		b.wantNothing()
	}
	if failed == 0 {
		t.Error("none was killed in time")
	}
}

func TestRuntimeKilledDuringExec(t *testing.T) {
	ownShimOnly(t, "the process that the killed command made stays")
	t.Parallel()
	e := startDaemon(t, daemonOptions{name: "killed-exec"}).env(t)
	options, delay := mortalRunc(t, "exec")
	b := e.run(boxOptions{args: []string{"sleep", "1000"}, io: cio.NullIO, options: options})
	failed := 0
	for round, moment := range append(delays(), delays()...) {
		ok(t, os.WriteFile(delay, []byte(moment+"\n"), 0o644))
		process, err := b.task.Exec(e.ctx, fmt.Sprint("e", round), processSpec(false, "sleep", "1000"), cio.NullIO)
		ok(t, err)
		if err := process.Start(e.ctx); err != nil {
			failed++
		} else {
			exits, err := process.Wait(e.ctx)
			ok(t, err)
			ok(t, process.Kill(e.ctx, syscall.SIGKILL))
			equal(t, "exit of an exec", waitExit(t, exits), 137)
		}
		ok(t, os.Remove(delay))
		_, err = process.Delete(e.ctx)
		ok(t, err)
		eventually(t, 10*time.Second, "the init process is alone", func() bool { return b.processesOf() == 1 })
		_, exits := b.exec("after", cio.NullIO, "sh", "-c", "exit 3")
		equal(t, "the next exec", waitExit(t, exits), 3)
		after, err := b.task.LoadProcess(e.ctx, "after", nil)
		ok(t, err)
		_, err = after.Delete(e.ctx)
		ok(t, err)
	}
	if failed == 0 {
		t.Error("none was killed in time")
	}
	b.finish()
	b.wantNothing()
}

// TestForkBomb: one container at its limit of processes, with all of them busy, is answered for, can be frozen and is killed to
// the last; beside it life goes on.
func TestForkBomb(t *testing.T) {
	t.Parallel()
	e := startDaemon(t, daemonOptions{name: "bomb"}).env(t)
	bomb := e.run(boxOptions{io: cio.NullIO, args: sh(`sleep 1000 & keep=$!; bomb() { bomb | bomb & }; (bomb) & wait $keep`),
		spec: []oci.SpecOpts{oci.WithPidsLimit(128)}})
	eventually(t, 20*time.Second, "it has met its limit", func() bool {
		text, err := os.ReadFile(bomb.cgroup("pids", "pids.events"))
		return err == nil && strings.TrimSpace(string(text)) != "max 0"
	})
	start := time.Now()
	_ = bomb.status("")
	other := e.run(boxOptions{args: sh("exit 4"), io: cio.NullIO})
	equal(t, "exit beside it", other.exit(), 4)
	other.delete()
	// There may be no room for one more process; then the exec fails, and that is told.
	process, err := bomb.task.Exec(e.ctx, "e", processSpec(false, "true"), cio.NullIO)
	ok(t, err)
	if process.Start(e.ctx) == nil {
		exits, err := process.Wait(e.ctx)
		ok(t, err)
		waitExit(t, exits)
	}
	_, err = process.Delete(e.ctx)
	ok(t, err)
	if took := time.Since(start); took > scaled(20*time.Second) {
		t.Errorf("took %v", took)
	}
	ok(t, bomb.task.Kill(e.ctx, syscall.SIGKILL, containerd.WithKillAll))
	equal(t, "exit", bomb.exit(), 137)
	bomb.delete()
	bomb.wantNothing()
}

// olderSpec is for runtimes that do not know the newest version of the specification.
func olderSpec(_ context.Context, _ oci.Client, _ *containers.Container, spec *oci.Spec) error {
	spec.Version = "1.0.2"
	return nil
}

// TestS089_ManyExecsAtOnce: GANTRY_EXECS of them in one container, each with an exit status of its own.
func TestS089_ManyExecsAtOnce(t *testing.T) {
	crun, err := exec.LookPath("crun")
	if err != nil {
		t.Skip("Debian's crun is needed: runc takes too long for that many")
	}
	many, err := strconv.Atoi(envOr("GANTRY_EXECS", "500"))
	ok(t, err)
	d := startDaemon(t, daemonOptions{name: "execs"})
	e := d.env(t)
	b := e.run(boxOptions{args: []string{"sleep", "1000"}, io: cio.NullIO, options: &runctypes.Options{BinaryName: crun},
		spec: []oci.SpecOpts{olderSpec}})
	_, exits := b.exec("first", cio.NullIO, "true")
	equal(t, "the first", waitExit(t, exits), 0)
	shims := shimsOf(d, b.id)
	equal(t, "shims", len(shims), 1)
	shim := shims[0]
	before := usageOf(t, shim)
	events := e.subscribe(`topic=="/tasks/exec-started"`, `topic=="/tasks/exit"`)
	failures := make(chan error, many)
	for i := 0; i < many; i++ {
		go func() { failures <- e.oneExec(b, i) }()
	}
	for i := 0; i < many; i++ {
		if err := <-failures; err != nil {
			t.Error(err)
		}
	}
	started := map[string]uint32{}
	for ended := 0; ended < many; {
		envelope := events.next(t)
		switch envelope.Topic {
		case "/tasks/exec-started":
			event := decode[*eventtypes.TaskExecStarted](envelope)
			if _, twice := started[event.ExecID]; twice || event.Pid == 0 {
				t.Errorf("started twice, or without pid: %v", event)
			}
			started[event.ExecID] = event.Pid
		case "/tasks/exit":
			event := decode[*eventtypes.TaskExit](envelope)
			if event.ID == "first" { // its events may come later than its answer
				continue
			}
			ended++
			pid, known := started[event.ID]
			if !known || pid != event.Pid {
				t.Errorf("exit of one that has not started, has ended or is another: %v", event)
			}
			delete(started, event.ID)
		}
	}
	eventually(t, 10*time.Second, "the init process is alone", func() bool { return b.processesOf() == 1 })
	if run.shimDir == "" { // what other shims keep is not ours to judge
		eventually(t, 10*time.Second, "descriptors as before", func() bool { return usageOf(t, shim).fds <= before.fds })
	}
	b.finish()
	b.wantNothing()
}

func (e *env) oneExec(b *box, number int) error {
	id, want := fmt.Sprint("many", number), uint32(number%200)
	process, err := b.task.Exec(e.ctx, id, processSpec(false, "sh", "-c", fmt.Sprint("exit ", want)), cio.NullIO)
	if err != nil {
		return fmt.Errorf("exec %d: %w", number, err)
	}
	exits, err := process.Wait(e.ctx)
	if err != nil {
		return fmt.Errorf("wait %d: %w", number, err)
	}
	if err := process.Start(e.ctx); err != nil {
		return fmt.Errorf("start %d: %w", number, err)
	}
	status := <-exits
	if status.Error() != nil || status.ExitCode() != want {
		return fmt.Errorf("exec %d: status %d, %v", number, status.ExitCode(), status.Error())
	}
	deleted, err := process.Delete(e.ctx)
	if err != nil {
		return fmt.Errorf("delete %d: %w", number, err)
	}
	if deleted.ExitCode() != want {
		return fmt.Errorf("delete %d: status %d", number, deleted.ExitCode())
	}
	return nil
}
