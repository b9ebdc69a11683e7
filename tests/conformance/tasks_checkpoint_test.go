// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"conformance/internal/fakeshim"

	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
)

// dumps names what the daemon keeps of checkpoints under way.
func (x *faked) dumps(t testing.TB) []string {
	t.Helper()
	if run.daemon == "containerd" {
		return names(t, filepath.Join(x.dir, "tmp"))
	}
	return names(t, x.pluginDir("io.containerd.service.v1.tasks-service"))
}

// TestS131_S132_Checkpoint has no need of CRIU: what the shim writes as its checkpoint is the fake shim's own file, and
// the rest is the daemon's.
func TestS131_S132_Checkpoint(t *testing.T) {
	x := newFaked(t, fakeshim.Manners{})
	x.env = x.held()
	temporary := func() []string { return x.dumps(t) }
	tidy := func() { // the answer need not wait for it
		t.Helper()
		eventually(t, 5*time.Second, "the temporary files are gone", func() bool { return len(temporary()) == 0 })
	}
	ok(t, x.create("c"))
	x.start("c")
	equal(t, "temporary files", len(temporary()), 0)
	answer, err := x.tasks().Checkpoint(x.ctx, &tasksapi.CheckpointTaskRequest{ContainerID: "c"})
	ok(t, err)
	tidy()
	equal(t, "descriptors", len(answer.Descriptors), 2)
	images, config := answer.Descriptors[0], answer.Descriptors[1]
	equal(t, "type", images.MediaType, "application/vnd.containerd.container.criu.checkpoint.criu.tar")
	equal(t, "type", config.MediaType, "application/vnd.containerd.container.checkpoint.config.v1+proto")
	if _, found := x.members(images, "")["fake.checkpoint"]; !found {
		t.Error("the checkpoint lacks what the shim wrote")
	}
	chunks, err := x.read(config.Digest, 0, 0)
	ok(t, err)
	if spec := x.getContainer("c").Spec.Value; !bytes.Contains([]byte(joined(chunks)), spec) {
		t.Errorf("the configuration %q lacks the spec", joined(chunks))
	}

	x.record("r")
	_, err = x.tasks().Create(x.ctx, &tasksapi.CreateTaskRequest{ContainerID: "r", Checkpoint: config})
	if err == nil {
		t.Error("a task was restored from a configuration")
	}
	_, err = x.tasks().Create(x.ctx, &tasksapi.CreateTaskRequest{ContainerID: "r", Checkpoint: images})
	ok(t, err)
	restored, err := os.ReadFile(filepath.Join(x.folder, "restored.r"))
	ok(t, err)
	equal(t, "restored from", string(restored), "c")
	if run.daemon == "gantryd" { // containerd leaves what it unpacked
		tidy()
	}
	x.start("r")
	x.end("r")
	x.end("c")
}
