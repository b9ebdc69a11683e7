// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	cgroup1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	cgroup2 "github.com/containerd/cgroups/v3/cgroup2/stats"
	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types"
	runctypes "github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/pkg/cio"
	"google.golang.org/protobuf/proto"
)

// metrics asks for those of the box alone.
func (b *box) metrics() []*types.Metric {
	b.e.t.Helper()
	answer, err := b.e.tasks().Metrics(b.e.ctx, &tasksapi.MetricsRequest{Filters: []string{"id==" + b.id}})
	ok(b.e.t, err)
	return answer.Metrics
}

// faultsOfChildren grows with each child that a process has reaped: none gets by without a page fault.
func faultsOfChildren(t testing.TB, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	ok(t, err)
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	const cminflt = 11 - 3 // proc(5) counts from 1, the name is its second
	return fields[cminflt]
}

// TestS120_StatsRunNothing: neither the OCI runtime nor anything else.
func TestS120_StatsRunNothing(t *testing.T) {
	t.Parallel()
	e := startDaemon(t, daemonOptions{name: "stats"}).env(t)
	r := newRecorder(t)
	b := e.run(boxOptions{args: []string{"sleep", "1000"}, io: cio.NullIO, options: &runctypes.Options{BinaryName: r.path}})
	shim := onlyShim(t, e.daemon)
	r.take(t)
	before := faultsOfChildren(t, shim)
	for range 20 {
		equal(t, "metrics", len(b.metrics()), 1)
	}
	equal(t, "faults of children", faultsOfChildren(t, shim), before)
	if commands := r.take(t); len(commands) != 0 {
		t.Errorf("the runtime was run: %q", commands)
	}
	ok(t, b.task.Pause(e.ctx))
	ok(t, b.task.Resume(e.ctx))
	if faultsOfChildren(t, shim) == before {
		t.Error("a runtime command did not show")
	}
	b.finish()
}

// TestS120_StatsOfWhatHasNoLimit: a limit that is not set, and a controller that is not there.
func TestS120_StatsOfWhatHasNoLimit(t *testing.T) {
	e := newEnv(t)
	b := e.run(boxOptions{args: []string{"sleep", "1000"}, io: cio.NullIO})
	metrics := b.metrics()
	equal(t, "metrics", len(metrics), 1)
	const unset = ^uint64(0)
	if exists("/sys/fs/cgroup/cgroup.controllers") {
		var m cgroup2.Metrics
		ok(t, proto.Unmarshal(metrics[0].Data.Value, &m))
		equal(t, "limit of pids", m.Pids.Limit, unset)
		equal(t, "limit of memory", m.Memory.UsageLimit, unset)
		return
	}
	var m cgroup1.Metrics
	ok(t, proto.Unmarshal(metrics[0].Data.Value, &m))
	equal(t, "limit of pids", m.Pids.Limit, 0)
	text, err := os.ReadFile(b.cgroup("memory", "memory.limit_in_bytes"))
	ok(t, err)
	equal(t, "limit of memory", fmt.Sprint(m.Memory.Usage.Limit), strings.TrimSpace(string(text)))
	if !exists("/sys/fs/cgroup/rdma") {
		equal(t, "figures of rdma", len(m.Rdma.GetCurrent()), 0)
	}
}

// TestS120_StatsOfAVanishedCgroup: of what has ended, and whose cgroup somebody has removed, there is nothing to tell; that is no
// error, and takes nothing from others.
func TestS120_StatsOfAVanishedCgroup(t *testing.T) {
	e := newEnv(t)
	b, other := e.run(boxOptions{args: []string{"sleep", "1000"}, io: cio.NullIO}), e.sleeper()
	ok(t, b.task.Kill(e.ctx, syscall.SIGKILL))
	b.exit()
	removed := 0
	for _, controller := range names(t, "/sys/fs/cgroup") {
		if os.Remove(b.cgroup(controller, "")) == nil {
			removed++
		}
	}
	if removed == 0 {
		t.Fatal("there was no cgroup")
	}
	for _, metric := range b.metrics() {
		for name, figure := range figuresOf(t, metric) {
			equal(t, name, figure, 0)
		}
	}
	answer, err := e.tasks().Metrics(e.ctx, &tasksapi.MetricsRequest{})
	ok(t, err)
	found := false
	for _, metric := range answer.Metrics {
		found = found || metric.ID == other.id
	}
	equal(t, "the other's figures", found, true)
	b.delete()
}

// figuresOf are those that no live container has at zero.
func figuresOf(t testing.TB, metric *types.Metric) map[string]uint64 {
	t.Helper()
	if metric.Data.TypeUrl == "io.containerd.cgroups.v2.Metrics" {
		var m cgroup2.Metrics
		ok(t, proto.Unmarshal(metric.Data.Value, &m))
		return map[string]uint64{"pids": m.Pids.GetCurrent(), "memory": m.Memory.GetUsage(), "cpu": m.CPU.GetUsageUsec()}
	}
	var m cgroup1.Metrics
	ok(t, proto.Unmarshal(metric.Data.Value, &m))
	return map[string]uint64{"pids": m.Pids.GetCurrent(), "memory": m.Memory.GetUsage().GetUsage(), "cpu": m.CPU.GetUsage().GetTotal()}
}
