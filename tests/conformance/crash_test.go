// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
)

// ledger is what a daemon has answered OK to, and so must not lose.
type ledger struct {
	mu        sync.Mutex
	blobs     map[string]string // digest to data
	snapshots []string
}

func (l *ledger) addBlob(dgst, data string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.blobs[dgst] = data
}

func (l *ledger) addSnapshot(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.snapshots = append(l.snapshots, name)
}

// TestL200_KilledAtRandom kills the daemon at random moments of ingests, commits and collections.
func TestL200_KilledAtRandom(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "loop"})
	plain := d.env(t)
	lease := plain.lease("keep", nil)
	e := plain.leased(lease)
	l := &ledger{blobs: map[string]string{}}
	for round := range 8 {
		stop := make(chan struct{})
		var group sync.WaitGroup
		for worker := range 2 {
			group.Go(func() { ingest(e, l, fmt.Sprintf("%d-%d", round, worker), stop) })
		}
		group.Go(func() { layers(e, l, fmt.Sprint(round), stop) })
		group.Go(func() { collections(e, stop) })
		time.Sleep(time.Duration(20+rand.IntN(200)) * time.Millisecond)
		d.kill()
		close(stop)
		group.Wait()
		d.restart(t)
		checkLedger(e, l)
		t.Run(fmt.Sprintf("usable after kill %d", round), func(t *testing.T) {
			gantryOnly(t, "a folder left by the crash has the id that is given next")
			e.with(t).checkUsable(l)
		})
	}
	if len(l.blobs) == 0 || len(l.snapshots) == 0 {
		t.Fatalf("%d blobs, %d snapshots were made", len(l.blobs), len(l.snapshots))
	}
	t.Logf("%d blobs and %d snapshots survived", len(l.blobs), len(l.snapshots))
	plain.deleteLease(lease, true)
	// What no lease holds any more must be deletable, and leave nothing on disk.
	messages, err := drain(e.snapshots().List(e.ctx, &snapshotsapi.ListSnapshotsRequest{Snapshotter: overlayfs}))
	ok(t, err)
	equal(t, "snapshots listed", len(messages), 0)
	equal(t, "snapshot folders", len(names(t, filepath.Join(d.pluginDir("io.containerd.snapshotter.v1.overlayfs"), "snapshots"))), 0)
	equal(t, "blob files", len(names(t, filepath.Join(d.pluginDir("io.containerd.content.v1.content"), "blobs", "sha256"))), 0)
}

func stopped(stop chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// ingest commits blobs until it is told to stop or the daemon is gone.
func ingest(e *env, l *ledger, name string, stop chan struct{}) {
	for i := 0; !stopped(stop); i++ {
		data := fmt.Sprintf("%s %s %d", e.ns, name, i)
		w, _, err := e.tryOpen("ingest "+data, 0, "")
		if err != nil {
			return
		}
		if _, err := w.tryCommit(data, 0, int64(len(data)), digestOf(data), nil); err != nil {
			return
		}
		l.addBlob(digestOf(data), data)
		w.cancel()
	}
}

// layers builds a chain of snapshots.
func layers(e *env, l *ledger, name string, stop chan struct{}) {
	parent := ""
	for i := 0; !stopped(stop); i++ {
		key, layer := fmt.Sprintf("active %s %d", name, i), fmt.Sprintf("layer %s %d", name, i)
		if e.tryPrepare(key, parent, nil) != nil || e.tryCommitSnapshot(layer, key, "", nil) != nil {
			return
		}
		l.addSnapshot(layer)
		parent = layer
	}
}

func collections(e *env, stop chan struct{}) {
	for !stopped(stop) {
		if err := collect(e.ctx, e.conn); err != nil {
			return
		}
	}
}

func checkLedger(e *env, l *ledger) {
	t := e.t
	t.Helper()
	for dgst, data := range l.blobs {
		if _, err := e.info(dgst); err != nil {
			t.Errorf("blob %q: %v", data, err)
			continue
		}
		got, err := os.ReadFile(e.blobPath(dgst))
		ok(t, err)
		equal(t, "blob", string(got), data)
	}
	for _, name := range l.snapshots {
		info, err := e.stat(name)
		if err != nil {
			t.Errorf("snapshot %q: %v", name, err)
			continue
		}
		equal(t, "kind", info.Kind, snapshotsapi.Kind_COMMITTED)
	}
}

// checkUsable looks into the newest layer.
func (e *env) checkUsable(l *ledger) {
	e.t.Helper()
	if len(l.snapshots) == 0 {
		return
	}
	last := l.snapshots[len(l.snapshots)-1]
	e.inside(e.view("look at "+last, last), func(string) {})
	ok(e.t, e.removeSnapshot("look at "+last))
}
