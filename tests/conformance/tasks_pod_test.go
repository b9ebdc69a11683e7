// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	taskapi "github.com/containerd/containerd/api/types/task"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
)

// ofPod is a container of a pod, as CRI marks it.
func (e *env) ofPod(pod, id string, more ...containerd.NewContainerOpts) *box {
	e.t.Helper()
	return e.run(boxOptions{id: id, args: []string{"sleep", "1000"}, io: cio.NullIO, container: more,
		spec: []oci.SpecOpts{oci.WithAnnotations(map[string]string{"io.kubernetes.cri.sandbox-id": pod})}})
}

// TestS040_PodOfSix: pause and five containers, which their daemon finds together by their annotation alone, or by a record of the
// sandbox too. Beside them another pod has a shim of its own.
func TestS040_PodOfSix(t *testing.T) {
	for name, more := range map[string][]containerd.NewContainerOpts{
		"annotation": nil, "record": {containerd.WithSandbox("pod")}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, daemonOptions{name: "six"})
			e := d.env(t)
			if more != nil {
				_, err := e.createSandbox(sandboxOf("pod"))
				ok(t, err)
			}
			boxes := []*box{e.ofPod("pod", "pod")}
			shim := onlyShim(t, d)
			for i := range 5 {
				boxes = append(boxes, e.ofPod("pod", fmt.Sprint("member", i), more...))
			}
			equal(t, "shim of all", onlyShim(t, d), shim)
			children := childrenOf(t, shim)
			for _, b := range boxes {
				equal(t, "status", b.status(""), taskapi.Status_RUNNING)
				equal(t, "it is the shim's child", slices.Contains(children, fmt.Sprint(b.task.Pid())), true)
			}
			other := e.ofPod("other", "other")
			equal(t, "shims of two pods", len(d.shims()), 2)
			other.finish()
			slices.Reverse(boxes) // pause ends last
			for _, b := range boxes {
				b.finish()
			}
			eventually(t, 5*time.Second, "the shims are gone", func() bool { return len(d.shims()) == 0 })
		})
	}
}

// countedShim puts a program before the shim that notes each time it is run, and how.
func countedShim(t testing.TB) (opts daemonOptions, runs func() []string) {
	t.Helper()
	shim, config := filepath.Join(run.shimDir, "containerd-shim-runc-v2"), ""
	if run.shimDir == "" {
		shim = ownShim(t)
	}
	if run.daemon == "gantryd" && run.shimDir == "" {
		config = "[plugins.'io.containerd.shim.v1.manager']\nruntimes = {}\n"
	}
	log := filepath.Join(t.TempDir(), "log")
	path := script(t, "containerd-shim-runc-v2", fmt.Sprintf("printf '%%s\\n' \"$*\" >>%s\nexec %s \"$@\"\n", log, shim))
	return daemonOptions{name: "counted", config: config, pathDir: filepath.Dir(path)}, func() []string {
		text, err := os.ReadFile(log)
		ok(t, err)
		all := strings.Split(strings.TrimSpace(string(text)), "\n")
		if run.daemon == "containerd" { // it runs a clean-up where none is needed
			all = slices.DeleteFunc(all, func(one string) bool { return strings.HasSuffix(one, " delete") })
		}
		return all
	}
}

// TestS042_MembersRunNoProgram: what joins a sandbox's shim needs no run of the shim's program, neither to begin nor to end, and leaves
// nothing.
func TestS042_MembersRunNoProgram(t *testing.T) {
	t.Parallel()
	opts, runs := countedShim(t)
	d := startDaemon(t, opts)
	e := d.env(t)
	_, err := e.createSandbox(sandboxOf("pod"))
	ok(t, err)
	pause := e.ofPod("pod", "pod")
	before := runs()
	if len(before) == 0 || !strings.HasSuffix(before[len(before)-1], "start") {
		t.Fatalf("the program was run as %q", before)
	}
	folders := func() (all []string) {
		for _, dir := range []string{d.state, d.root} {
			all = append(all, names(t, filepath.Join(dir, "io.containerd.runtime.v2.task", e.ns))...)
		}
		all = append(all, names(t, filepath.Join(d.state, "s"))...)
		return append(all, names(t, "/run/containerd/runc/"+e.ns)...)
	}
	left := folders()
	for round := range 2 {
		for i := range 3 {
			b := e.ofPod("pod", fmt.Sprintf("member%d-%d", round, i), containerd.WithSandbox("pod"))
			equal(t, "bundle", exists(b.bundle()), true)
			b.finish()
			b.wantNoTask()
		}
	}
	equal(t, "runs of the program", strings.Join(runs(), "; "), strings.Join(before, "; "))
	equal(t, "folders and sockets", fmt.Sprint(folders()), fmt.Sprint(left))
	equal(t, "pause", pause.status(""), taskapi.Status_RUNNING)
	pause.finish()
	eventually(t, 5*time.Second, "the shim is gone", func() bool { return len(d.shims()) == 0 })
}
