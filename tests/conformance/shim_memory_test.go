// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	runctypes "github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
)

// pssOf is the proportional memory of a process, in kB.
func pssOf(t testing.TB, pid int) int {
	t.Helper()
	rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	ok(t, err)
	for _, line := range strings.Split(string(rollup), "\n") {
		if rest, found := strings.CutPrefix(line, "Pss:"); found {
			kilobytes, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			ok(t, err)
			return kilobytes
		}
	}
	t.Fatalf("process %d: no Pss in smaps_rollup", pid)
	return 0
}

// TestS146_MemoryAfterManyExecs: GANTRY_MEMORY_EXECS later an idle shim needs what it needed after the first one. Its program is a copy that
// no other process shares.
func TestS146_MemoryAfterManyExecs(t *testing.T) {
	ownShimOnly(t, "its garbage collector decides")
	t.Parallel()
	many := amount(t, "GANTRY_MEMORY_EXECS", 200)
	program := filepath.Join(t.TempDir(), "containerd-shim-gantry-v2")
	binary, err := os.ReadFile(ownShim(t))
	ok(t, err)
	ok(t, os.WriteFile(program, binary, 0o755))
	if linksAnyOf(t, program, "libasan", "libtsan") {
		t.Skip("a sanitizer keeps memory for itself")
	}
	d := startDaemon(t, daemonOptions{name: "memory"})
	e := d.env(t)
	b := e.run(boxOptions{args: []string{"sleep", "1000"}, io: cio.NullIO, runtime: program, spec: []oci.SpecOpts{olderSpec},
		options: &runctypes.Options{BinaryName: quickRuntime()}})
	shim := onlyShim(t, d)
	idle := func() int {
		time.Sleep(3 * time.Second) // until it has given back what it does not need
		return pssOf(t, shim)
	}
	ok(t, b.execNumber(1))
	first := idle()
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for i := worker; i < many; i += 4 {
				if err := b.execNamed(fmt.Sprint("m", i), uint32(i%100)); err != nil {
					t.Errorf("exec %d: %v", i, err)
					return
				}
			}
		})
	}
	group.Wait()
	last := idle()
	t.Logf("after one exec %d kB, after %d more %d kB", first, many, last)
	if last > first+first/10 {
		t.Errorf("the idle shim has %d kB, had %d kB", last, first)
	}
	b.finish()
}
