// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	cgroup1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	cgroup2 "github.com/containerd/cgroups/v3/cgroup2/stats"
	eventtypes "github.com/containerd/containerd/api/events"
	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"google.golang.org/protobuf/proto"
)

func TestS110_S112_TaskEvents(t *testing.T) {
	e := newEnv(t)
	events := e.subscribe(`topic~="^/tasks/"`)
	b := e.create(boxOptions{args: []string{"sleep", "1000"}, io: cio.NullIO})
	created := decode[*eventtypes.TaskCreate](events.want(t, "/tasks/create", e.ns))
	equal(t, "create", fmt.Sprint(created.ContainerID, created.Bundle, created.Pid), fmt.Sprint(b.id, b.bundle(), b.task.Pid()))
	equal(t, "mounts", len(created.Rootfs), 1)
	ok(t, b.task.Start(e.ctx))
	started := decode[*eventtypes.TaskStart](events.want(t, "/tasks/start", e.ns))
	equal(t, "start", fmt.Sprint(started.ContainerID, started.Pid), fmt.Sprint(b.id, b.task.Pid()))

	process, exits := b.exec("e", cio.NullIO, "sh", "-c", "exit 6")
	waitExit(t, exits)
	added := decode[*eventtypes.TaskExecAdded](events.want(t, "/tasks/exec-added", e.ns))
	equal(t, "exec-added", added.ContainerID+" "+added.ExecID, b.id+" e")
	execStarted := decode[*eventtypes.TaskExecStarted](events.want(t, "/tasks/exec-started", e.ns))
	equal(t, "exec-started", fmt.Sprint(execStarted.ContainerID, execStarted.ExecID, execStarted.Pid), fmt.Sprint(b.id, "e", process.Pid()))
	exited := decode[*eventtypes.TaskExit](events.want(t, "/tasks/exit", e.ns))
	equal(t, "exit", fmt.Sprint(exited.ContainerID, exited.ID, exited.Pid, exited.ExitStatus), fmt.Sprint(b.id, "e", process.Pid(), 6))
	_, err := process.Delete(e.ctx)
	ok(t, err)

	ok(t, b.task.Pause(e.ctx))
	equal(t, "paused", decode[*eventtypes.TaskPaused](events.want(t, "/tasks/paused", e.ns)).ContainerID, b.id)
	ok(t, b.task.Resume(e.ctx))
	equal(t, "resumed", decode[*eventtypes.TaskResumed](events.want(t, "/tasks/resumed", e.ns)).ContainerID, b.id)
	ok(t, b.task.Kill(e.ctx, syscall.SIGKILL))
	exited = decode[*eventtypes.TaskExit](events.want(t, "/tasks/exit", e.ns))
	equal(t, "exit", fmt.Sprint(exited.ContainerID, exited.ID, exited.Pid, exited.ExitStatus), fmt.Sprint(b.id, b.id, b.task.Pid(), 137))
	b.exit()
	events.none(t, 50*time.Millisecond)
}

// TestS110_TaskDeleteEvent tries several times: upstream's shim may end before its last event has left.
func TestS110_TaskDeleteEvent(t *testing.T) {
	e := newEnv(t)
	exits, deletes := e.subscribe(`topic=="/tasks/exit"`), e.subscribe(`topic=="/tasks/delete"`)
	for range 8 {
		b := e.run(boxOptions{args: sh("exit 7"), io: cio.NullIO})
		exited := decode[*eventtypes.TaskExit](exits.want(t, "/tasks/exit", e.ns))
		b.exit()
		b.delete()
		select {
		case envelope := <-deletes.events:
			deleted := decode[*eventtypes.TaskDelete](envelope)
			equal(t, "delete", fmt.Sprint(deleted.ContainerID, deleted.ID, deleted.Pid, deleted.ExitStatus),
				fmt.Sprint(b.id, "", b.task.Pid(), 7))
			equal(t, "time", deleted.ExitedAt.AsTime(), exited.ExitedAt.AsTime())
			return
		case <-time.After(scaled(time.Second)):
		}
	}
	t.Error("no deletion was announced")
}

// TestS085_S086_EventOrder runs many short tasks at once and checks the order of each one's events. A task is deleted
// only when its exit has been announced: upstream's shim loses what is still on its way when it is shut down. For the
// same reason the last event, of the deletion, may be missing.
func TestS085_S086_EventOrder(t *testing.T) {
	e := newEnv(t)
	events := e.subscribe(`topic~="^/tasks/"`)
	const runs = 24
	boxes := make([]*box, runs)
	for i := range boxes {
		boxes[i] = e.create(boxOptions{args: sh("exit 7"), io: cio.NullIO})
	}
	var group sync.WaitGroup
	for _, b := range boxes {
		group.Go(func() {
			if err := b.task.Start(e.ctx); err != nil {
				t.Error(err)
			}
			if status := <-b.exits; status.ExitCode() != 7 {
				t.Errorf("exit status %d", status.ExitCode())
			}
		})
	}
	order := map[string][]string{}
	for range 3 * runs {
		envelope := events.next(t)
		id := containerOfEvent(envelope)
		order[id] = append(order[id], strings.TrimPrefix(envelope.Topic, "/tasks/"))
	}
	group.Wait()
	for _, b := range boxes {
		if got := order[b.id]; !slices.Equal(got, []string{"create", "start", "exit"}) {
			t.Errorf("events of %s: %v", b.id, got)
		}
		b.delete()
	}
}

// containerOfEvent is the container that a task event is about: field 1 of all of them.
func containerOfEvent(envelope *types.Envelope) string {
	var start eventtypes.TaskStart
	_ = proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(envelope.Event.Value[:2+int(envelope.Event.Value[1])], &start)
	return start.ContainerID
}

func TestS087_InitExitIsLast(t *testing.T) {
	for name, spec := range map[string][]oci.SpecOpts{"private": nil, "host": {oci.WithHostNamespace("pid")}} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			events := e.subscribe(`topic=="/tasks/exit"`)
			b := e.run(boxOptions{args: []string{"sleep", "1000"}, spec: spec, io: cio.NullIO})
			const execs = 8
			for i := range execs {
				b.exec(fmt.Sprintf("e%d", i), cio.NullIO, "sleep", "1000")
			}
			ok(t, b.task.Kill(e.ctx, syscall.SIGKILL))
			b.exit()
			for i := range execs + 1 {
				exit := decode[*eventtypes.TaskExit](events.want(t, "/tasks/exit", e.ns))
				equal(t, fmt.Sprintf("event %d is the init's", i), exit.ID == b.id, i == execs)
			}
		})
	}
}

func TestS076_Pause(t *testing.T) {
	e := newEnv(t)
	b := e.sleeper()
	ok(t, b.task.Pause(e.ctx))
	_, err := e.tasks().Kill(e.ctx, &tasksapi.KillRequest{ContainerID: b.id, Signal: uint32(syscall.SIGKILL)})
	ok(t, err)
	// On cgroup v1 a frozen process dies only when it is thawed.
	_ = b.task.Resume(e.ctx)
	equal(t, "exit status", b.exit(), 137)
	b.delete()
	equal(t, "cgroup", exists(b.cgroup("freezer", "")), false)
}

func TestS119_L012_Metrics(t *testing.T) {
	e := newEnv(t)
	b := e.run(boxOptions{args: sh("head -c 8000000 /dev/zero > /tmp/x; while true; do sleep 0.1; done"), io: cio.NullIO})
	other := e.sleeper()
	answer, err := e.tasks().Metrics(e.ctx, &tasksapi.MetricsRequest{Filters: []string{"id==" + b.id}})
	ok(t, err)
	equal(t, "metrics", len(answer.Metrics), 1)
	metric := answer.Metrics[0]
	equal(t, "id", metric.ID, b.id)
	if time.Since(metric.Timestamp.AsTime()).Abs() > time.Minute {
		t.Errorf("time %v", metric.Timestamp.AsTime())
	}
	checkMetrics(t, metric)
	answer, err = e.tasks().Metrics(e.ctx, &tasksapi.MetricsRequest{})
	ok(t, err)
	ids := []string{}
	for _, m := range answer.Metrics {
		ids = append(ids, m.ID)
	}
	slices.Sort(ids)
	want := []string{b.id, other.id}
	slices.Sort(want)
	if !slices.Equal(ids, want) {
		t.Errorf("metrics of %v, want %v", ids, want)
	}
	answer, err = e.tasks().Metrics(e.ctx, &tasksapi.MetricsRequest{Filters: []string{"namespace==other"}})
	ok(t, err)
	equal(t, "metrics of another namespace", len(answer.Metrics), 0)
}

func checkMetrics(t *testing.T, metric *types.Metric) {
	t.Helper()
	var pids, memory uint64
	if exists("/sys/fs/cgroup/cgroup.controllers") {
		equal(t, "type", metric.Data.TypeUrl, "io.containerd.cgroups.v2.Metrics")
		var m cgroup2.Metrics
		ok(t, proto.Unmarshal(metric.Data.Value, &m))
		pids, memory = m.Pids.Current, m.Memory.Usage
	} else {
		equal(t, "type", metric.Data.TypeUrl, "io.containerd.cgroups.v1.Metrics")
		var m cgroup1.Metrics
		ok(t, proto.Unmarshal(metric.Data.Value, &m))
		pids, memory = m.Pids.Current, m.Memory.Usage.Usage
		if m.CPU.Usage.Total == 0 || len(m.CPU.Usage.PerCPU) == 0 {
			t.Errorf("cpu usage %v", m.CPU.Usage)
		}
	}
	if pids == 0 || memory == 0 {
		t.Errorf("pids %d, memory %d", pids, memory)
	}
}

func TestS115_OutOfMemory(t *testing.T) {
	e := newEnv(t)
	events := e.subscribe(`topic=="/tasks/oom"`, `topic=="/tasks/exit"`)
	b := e.run(boxOptions{args: sh("tail /dev/zero"), io: cio.NullIO, spec: []oci.SpecOpts{oci.WithMemoryLimit(16 << 20)}})
	code := b.exit()
	if code == 0 {
		t.Error("it survived")
	}
	oom := decode[*eventtypes.TaskOOM](events.want(t, "/tasks/oom", e.ns))
	equal(t, "container", oom.ContainerID, b.id)
}
