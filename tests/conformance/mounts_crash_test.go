// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/api/types"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestMountsSurviveKill: what was answered is there after a crash, as it was.
func TestMountsSurviveKill(t *testing.T) {
	gantryOnly(t, "source and options of active mounts are lost with the daemon")
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "mkill"})
	e := d.env(t).held()
	source := folderWith(t, "a")
	made, err := e.activate("name", false, map[string]string{"k": "v"}, bind(source), formatted("{{ mount 0 }}"))
	ok(t, err)
	d.kill()
	d.restart(t)
	e.gc()
	info, err := e.activation("name")
	ok(t, err)
	equal(t, "mount point", info.Active[0].MountPoint, made.Active[0].MountPoint)
	equal(t, "source", info.Active[0].Mount.Source, source)
	equal(t, "time", info.Active[0].MountedAt.AsTime(), made.Active[0].MountedAt.AsTime())
	equal(t, "system mount", info.System[0].Source, made.Active[0].MountPoint)
	equal(t, "label", info.Labels["k"], "v")
	equal(t, "mounted", isMounted(info.Active[0].MountPoint), true)
	ok(t, e.deactivate("name"))
	equal(t, "mounts", len(mountsBelow(d.state)), 0)
	if left := e.targets(); len(left) != 0 {
		t.Errorf("folders left: %v", left)
	}
}

// TestMountsKilledMidway kills the daemon while it activates and deactivates: afterwards all that is
// listed is mounted, and all that is mounted is listed.
func TestMountsKilledMidway(t *testing.T) {
	gantryOnly(t, "what was being mounted at the crash stays mounted")
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "mmid"})
	e := d.env(t).held()
	source, image := folderWith(t, "a"), filepath.Join(d.root, "image")
	list := []*types.Mount{bind(source), bind(source),
		{Type: "mkfs/ext4", Source: image, Options: []string{"loop", "X-containerd.mkfs.size=4MB"}}, formatted("{{ mount 1 }}")}
	activated := 0
	for round := range 8 {
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			for i := 0; ; i++ {
				name := fmt.Sprintf("%d-%d", round, i%3)
				if _, err := e.activate(name, false, nil, list...); err == nil {
					activated++
				} else if isGone(err) {
					return
				}
				if i%2 == 0 && isGone(e.deactivate(name)) {
					return
				}
			}
		}()
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
		d.kill()
		<-stopped
		d.restart(t)
		e.gc()
		want := 0
		for _, name := range e.listActivations() {
			info, err := e.activation(name)
			ok(t, err)
			for _, m := range info.Active {
				want++
				equal(t, m.MountPoint+" is mounted", isMounted(m.MountPoint), true)
			}
		}
		equal(t, "mounts", len(mountsBelow(filepath.Join(d.state, "io.containerd.mount-manager.v1.bolt"))), want)
	}
	if activated == 0 {
		t.Fatal("nothing was ever activated")
	}
	for _, name := range e.listActivations() {
		ok(t, e.deactivate(name))
	}
	equal(t, "mounts", len(mountsBelow(d.state)), 0)
	if left := e.targets(); len(left) != 0 {
		t.Errorf("folders left: %v", left)
	}
}

// isGone tells an answer from the end of the daemon.
func isGone(err error) bool {
	return err != nil && (status.Code(err) == codes.Unavailable || strings.Contains(err.Error(), "transport"))
}
