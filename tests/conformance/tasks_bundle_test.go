// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	shimapi "github.com/containerd/containerd/api/runtime/task/v3"
	runctypes "github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// knownShims are the shims here: ours, the stock one that goes with containerd 2.4, and an older one.
func knownShims(t testing.TB) map[string]string {
	t.Helper()
	shims := map[string]string{"ours": ownShim(t)}
	if run.shimDir != "" {
		shims["stock"] = filepath.Join(run.shimDir, "containerd-shim-runc-v2")
	}
	if old := filepath.Join(envOr("GANTRY_OLD_SHIM_DIR", "/usr/bin"), "containerd-shim-runc-v2"); exists(old) {
		shims["old"] = old
	}
	if len(shims) == 1 {
		t.Skip("no other shim here than ours")
	}
	return shims
}

// TestS038_BundlesOfAnotherShim: a container that one shim has made, and whose daemon and shim are killed, is removed by another's
// program, which finds in the bundle which OCI runtime has it, where, and as which process.
func TestS038_BundlesOfAnotherShim(t *testing.T) {
	shims := knownShims(t)
	for maker, makerPath := range shims {
		for remover, removerPath := range shims {
			if (maker == "ours") == (remover == "ours") {
				continue
			}
			t.Run(maker+" then "+remover, func(t *testing.T) {
				t.Parallel()
				if maker == "old" {
					gantryOnly(t, "the shim of 1.6 does not understand the newer dialect")
				}
				removeAnothers(t, makerPath, removerPath)
			})
		}
	}
}

func removeAnothers(t *testing.T, maker, remover string) {
	d := startDaemon(t, daemonOptions{name: "another"})
	e := d.env(t)
	root := t.TempDir()
	b := e.run(boxOptions{args: []string{"sleep", "1000"}, io: cio.NullIO, runtime: maker, spec: []oci.SpecOpts{olderSpec},
		options: &runctypes.Options{BinaryName: quickRuntime(), Root: root}})
	pid, state := int(b.task.Pid()), filepath.Join(root, e.ns, b.id)
	equal(t, "runtime state", exists(state), true)
	d.kill()
	for shim := range d.shims() {
		ok(t, syscall.Kill(shim, syscall.SIGKILL))
	}
	equal(t, "the container lives", alive(pid), true)

	cmd := exec.Command(remover, "-namespace", e.ns, "-address", d.socket, "-publish-binary", run.bin, "-id", b.id,
		"-bundle", b.bundle(), "delete")
	cmd.Dir = b.bundle()
	cmd.Env = append(os.Environ(), "TTRPC_ADDRESS="+d.socket+".ttrpc", "GRPC_ADDRESS="+d.socket)
	var warnings bytes.Buffer
	cmd.Stderr = &warnings
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, warnings.String())
	}
	var answer shimapi.DeleteResponse
	ok(t, proto.Unmarshal(output, &answer))
	equal(t, "answer", fmt.Sprint(answer.Pid, " ", answer.ExitStatus), fmt.Sprint(pid, " ", 137))
	eventually(t, 5*time.Second, "the container is gone", func() bool {
		return !alive(pid) && !exists(state) && !exists(b.cgroup("pids", ""))
	})
	equal(t, "mounts", len(mountsBelow(b.bundle())), 0)
	d.restart(t)
	eventually(t, 10*time.Second, "the task is gone", func() bool {
		_, err := b.get("")
		return status.Code(err) == codes.NotFound && !exists(b.bundle())
	})
}
