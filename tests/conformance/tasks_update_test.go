// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	runctypes "github.com/containerd/containerd/api/types/runc/options"
	taskapi "github.com/containerd/containerd/api/types/task"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// ociRuntimes are those of the runtimes that a shim has to work with which are here.
func ociRuntimes() map[string]string {
	found := map[string]string{}
	for _, name := range []string{"runc", "crun", "youki"} {
		if path, err := exec.LookPath(name); err == nil {
			found[name] = path
		}
	}
	return found
}

// wantCgroup checks files of the box's cgroup, for the version of cgroups that is here.
func (b *box) wantCgroup(rows [][4]string) {
	t := b.e.t
	t.Helper()
	unified := exists("/sys/fs/cgroup/cgroup.controllers")
	for _, row := range rows { // version, controller, file, content
		if (row[0] == "2") != unified {
			continue
		}
		text, err := os.ReadFile(b.cgroup(row[1], row[2]))
		ok(t, err)
		equal(t, row[2], strings.TrimSpace(string(text)), row[3])
	}
}

// TestS078_UpdateOfEachRuntime: limits that are set, changed and lifted, and those that cgroup v2 alone has, which version 1 refuses
// without harm.
func TestS078_UpdateOfEachRuntime(t *testing.T) {
	for name, path := range ociRuntimes() {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			b := e.run(boxOptions{args: []string{"sleep", "1000"}, io: cio.NullIO, options: &runctypes.Options{BinaryName: path},
				spec: []oci.SpecOpts{olderSpec}})
			update := func(resources specs.LinuxResources) error {
				return b.task.Update(e.ctx, containerd.WithResources(&resources))
			}
			limit, more, pids := int64(64<<20), int64(96<<20), int64(77)
			period, quota, shares := uint64(50000), int64(20000), uint64(512)
			ok(t, update(specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit, Reservation: &limit},
				Pids: &specs.LinuxPids{Limit: &pids}, CPU: &specs.LinuxCPU{Shares: &shares, Period: &period, Quota: &quota}}))
			b.wantCgroup([][4]string{
				{"1", "memory", "memory.limit_in_bytes", fmt.Sprint(limit)}, {"2", "", "memory.max", fmt.Sprint(limit)},
				{"1", "memory", "memory.soft_limit_in_bytes", fmt.Sprint(limit)}, {"2", "", "memory.low", fmt.Sprint(limit)},
				{"1", "cpu", "cpu.shares", "512"}, {"1", "cpu", "cpu.cfs_quota_us", "20000"},
				{"1", "cpu", "cpu.cfs_period_us", "50000"}, {"2", "", "cpu.max", "20000 50000"},
				{"1", "pids", "pids.max", "77"}, {"2", "", "pids.max", "77"},
			})
			ok(t, update(specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &more}}))
			b.wantCgroup([][4]string{{"1", "memory", "memory.limit_in_bytes", fmt.Sprint(more)}, {"2", "", "memory.max", fmt.Sprint(more)},
				{"1", "cpu", "cpu.shares", "512"}, {"2", "", "cpu.max", "20000 50000"}})
			err := update(specs.LinuxResources{Unified: map[string]string{"memory.high": fmt.Sprint(limit), "pids.max": "66"}})
			if exists("/sys/fs/cgroup/cgroup.controllers") {
				ok(t, err)
			} else {
				t.Logf("unified settings where there is none of it: %v", err)
			}
			b.wantCgroup([][4]string{{"2", "", "memory.high", fmt.Sprint(limit)}, {"2", "", "pids.max", "66"},
				{"1", "memory", "memory.limit_in_bytes", fmt.Sprint(more)}})
			equal(t, "status", b.status(""), taskapi.Status_RUNNING)
			if err := update(specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "4711"}}); err == nil {
				t.Error("a CPU that is not there was given")
			}
			b.finish()
		})
	}
}
