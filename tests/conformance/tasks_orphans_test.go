// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	eventtypes "github.com/containerd/containerd/api/events"
	runctypes "github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// childrenOf are the pids of a process's children, dead ones among them.
func childrenOf(t testing.TB, pid int) []string {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	ok(t, err)
	var all []string
	for _, task := range tasks {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		all = append(all, strings.Fields(string(text))...)
	}
	return all
}

// TestS090_Orphans: in the host's PID namespace whoever loses its parent becomes a child of the shim. GANTRY_ORPHANS do, while execs
// start and end among them; their ends are nobody's news.
func TestS090_Orphans(t *testing.T) {
	t.Parallel()
	many := amount(t, "GANTRY_ORPHANS", 1500)
	e := startDaemon(t, daemonOptions{name: "orphans"}).env(t)
	events := e.subscribe(`topic=="/tasks/exit"`)
	b := e.run(boxOptions{options: &runctypes.Options{BinaryName: quickRuntime()},
		args: sh(fmt.Sprintf("i=0; while [ $i -lt %d ]; do (true &); i=$((i+1)); done; echo done; exec sleep 1000", many)),
		spec: []oci.SpecOpts{oci.WithHostNamespace(specs.PIDNamespace), olderSpec}})
	shim := onlyShim(t, e.daemon)
	before := faultsOfChildren(t, shim)
	execs := 0
	for limit := time.Now().Add(scaled(40 * time.Second)); b.out.String() == ""; execs++ {
		if time.Now().After(limit) {
			t.Fatal("it does not come to an end")
		}
		id := fmt.Sprint("e", execs)
		process, exits := b.exec(id, cio.NullIO, "sh", "-c", fmt.Sprint("exit ", execs%100))
		equal(t, "exit of an exec", waitExit(t, exits), uint32(execs%100))
		exit := decode[*eventtypes.TaskExit](events.want(t, "/tasks/exit", e.ns))
		equal(t, "exit", fmt.Sprint(exit.ID, " ", exit.Pid, " ", exit.ExitStatus), fmt.Sprint(id, " ", process.Pid(), " ", execs%100))
		_, err := process.Delete(e.ctx)
		ok(t, err)
		time.Sleep(50 * time.Millisecond)
	}
	eventually(t, 10*time.Second, "the init process is the only child", func() bool {
		children := childrenOf(t, shim)
		return len(children) == 1 && children[0] == fmt.Sprint(b.task.Pid())
	})
	if faultsOfChildren(t, shim) == before {
		t.Error("no orphan came to the shim")
	}
	events.none(t, 100*time.Millisecond)
	t.Logf("%d orphans, %d execs among them", many, execs)
	ok(t, b.task.Kill(e.ctx, syscall.SIGKILL))
	equal(t, "exit", b.exit(), 137)
	equal(t, "exit", decode[*eventtypes.TaskExit](events.want(t, "/tasks/exit", e.ns)).ID, b.id)
	b.delete()
}
