// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	runctypes "github.com/containerd/containerd/api/types/runc/options"
	taskapi "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
)

// TestS124_FailingExecs: GANTRY_FAILING_EXECS of them fill neither the bundle nor anything else.
func TestS124_FailingExecs(t *testing.T) {
	ownShimOnly(t, "its log grows with each")
	t.Parallel()
	many := amount(t, "GANTRY_FAILING_EXECS", 400)
	d := startDaemon(t, daemonOptions{name: "failing"})
	e := d.env(t)
	b := e.run(boxOptions{args: []string{"sleep", "1000"}, io: cio.NullIO, options: &runctypes.Options{BinaryName: quickRuntime()},
		spec: []oci.SpecOpts{olderSpec}})
	shim := onlyShim(t, d)
	ok(t, b.failingExec("first"))
	files := func() (all []string) {
		for _, dir := range []string{b.bundle(), filepath.Join(b.bundle(), "work") + "/", filepath.Join(d.dir, "tmp")} {
			all = append(all, names(t, dir)...)
		}
		return all
	}
	before, fds := files(), usageOf(t, shim).fds
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for i := worker; i < many; i += 4 {
				if err := b.failingExec(fmt.Sprint("e", i)); err != nil {
					t.Errorf("exec %d: %v", i, err)
					return
				}
			}
		})
	}
	group.Wait()
	after := files()
	slices.Sort(before)
	slices.Sort(after)
	equal(t, "files", fmt.Sprint(after), fmt.Sprint(before))
	log, err := os.Stat(filepath.Join(b.bundle(), "log.json"))
	ok(t, err)
	if log.Size() == 0 || log.Size() >= 64<<10 {
		t.Errorf("log.json has %d bytes", log.Size())
	}
	equal(t, "fds of the shim", usageOf(t, shim).fds, fds)
	_, exits := b.exec("good", cio.NullIO, "sh", "-c", "exit 3")
	equal(t, "exec", waitExit(t, exits), 3)
	b.finish()
}

// failingExec adds, starts and deletes an exec whose command is not there.
func (b *box) failingExec(id string) error {
	ctx := b.e.ctx
	process, err := b.task.Exec(ctx, id, processSpec(false, "/no/such/command"), cio.NullIO)
	if err != nil {
		return err
	}
	if err := process.Start(ctx); err == nil || !strings.Contains(err.Error(), "OCI runtime exec failed") {
		return fmt.Errorf("start gave %v", err)
	}
	if found, err := b.get(id); err != nil || found.Status != taskapi.Status_CREATED {
		return fmt.Errorf("it is %v, %v", found.GetStatus(), err)
	}
	_, err = process.Delete(ctx)
	return err
}
