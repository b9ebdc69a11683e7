// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"conformance/internal/proxy"

	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// proxied is a daemon with a proxy snapshotter, which is all that e's methods for it speak to.
type proxied struct {
	*env
	p *proxysnap
}

func newProxied(t *testing.T, driver string) *proxied {
	t.Helper()
	t.Parallel()
	p := startProxysnap(t, driver, "snapshots")
	d := startDaemon(t, daemonOptions{name: "prox", config: p.config()})
	return &proxied{d.env(t), p}
}

func (x *proxied) prepare(key, parent string, labels map[string]string) error {
	_, err := x.snapshots().Prepare(x.ctx, &snapshotsapi.PrepareSnapshotRequest{
		Snapshotter: "proxied", Key: key, Parent: parent, Labels: labels})
	return err
}

func (x *proxied) commit(name, key string, labels map[string]string) error {
	_, err := x.snapshots().Commit(x.ctx, &snapshotsapi.CommitSnapshotRequest{Snapshotter: "proxied", Name: name, Key: key, Labels: labels})
	return err
}

func (x *proxied) remove(key string) error {
	_, err := x.snapshots().Remove(x.ctx, &snapshotsapi.RemoveSnapshotRequest{Snapshotter: "proxied", Key: key})
	return err
}

func (x *proxied) stat(key string) (*snapshotsapi.Info, error) {
	answer, err := x.snapshots().Stat(x.ctx, &snapshotsapi.StatSnapshotRequest{Snapshotter: "proxied", Key: key})
	return answer.GetInfo(), err
}

// folders lists the snapshot folders of the proxy's backend.
func (x *proxied) folders() []string {
	return names(x.t, filepath.Join(x.p.dir, "r", "snapshots", "snapshots"))
}

// rooted are labels that keep an object from collection.
func rooted() map[string]string { return map[string]string{"containerd.io/gc.root": "conformance"} }

func TestL103_ProxyProvidesTarget(t *testing.T) {
	x := newProxied(t, "overlay")
	end := x.p.order("prepare", proxy.Fault{Mode: proxy.ModeTarget})
	lease := x.lease("", nil)
	held := &proxied{x.leased(lease), x.p}
	err := held.prepare("key", "", map[string]string{labelTarget: "target", "containerd.io/snapshot/hint": "h", "own": "o"})
	wantCode(t, err, codes.AlreadyExists)
	end()
	info, err := x.stat("target")
	ok(t, err)
	equal(t, "kind", info.Kind, snapshotsapi.Kind_COMMITTED)
	equal(t, "own label", info.Labels["own"], "o")
	equal(t, "hint label", info.Labels["containerd.io/snapshot/hint"], "h")
	_, err = x.stat("key")
	wantCode(t, err, codes.NotFound)
	wantLease(t, x.leaseHolds(lease), inLease("snapshots/proxied", "target"))
	ok(t, held.prepare("child", "target", nil))
}

func TestL104_ProxyClaimsExistence(t *testing.T) {
	x := newProxied(t, "native")
	ok(t, x.prepare("first", "", rooted())) // An untouched backend cannot be walked.
	defer x.p.order("prepare", proxy.Fault{Mode: proxy.ModeError, Class: "already exists"})()
	wantCode(t, x.prepare("key", "", map[string]string{labelTarget: "target"}), codes.NotFound)
	wantCode(t, x.prepare("key", "", nil), codes.Unknown)
}

func TestL105_InheritedLabels(t *testing.T) {
	x := newProxied(t, "native")
	labels := map[string]string{"plain": "1", "containerd.io/gc.root": "2", "containerd.io/snapshot/x": "3",
		"containerd.io/snapshot.ref": "4", "containerd.io/snapshot.other": "5"}
	ok(t, x.prepare("key", "", labels))
	calls := x.p.calls("Prepare")
	var request struct {
		Key    string
		Labels map[string]string
	}
	ok(t, json.Unmarshal(calls[0].Request, &request))
	want := map[string]string{"containerd.io/snapshot/x": "3", "containerd.io/snapshot.ref": "4"}
	if !maps.Equal(request.Labels, want) {
		t.Errorf("the driver got %v, want %v", request.Labels, want)
	}
	equal(t, "namespace", calls[0].Namespace, x.ns)
	equal(t, "lease", calls[0].Lease, "")
	info, err := x.stat("key")
	ok(t, err)
	if !maps.Equal(info.Labels, labels) {
		t.Errorf("stored %v", info.Labels)
	}
}

// backendKeys are the keys of all Prepare calls that the proxy got.
func (x *proxied) backendKeys() []string {
	x.t.Helper()
	var keys []string
	for _, call := range x.p.calls("Prepare") {
		var request struct{ Key string }
		ok(x.t, json.Unmarshal(call.Request, &request))
		keys = append(keys, request.Key)
	}
	return keys
}

func TestL106_BackendKeys(t *testing.T) {
	x := newProxied(t, "native")
	ok(t, x.prepare("a", "", rooted()))
	ok(t, x.prepare("b/c d", "", rooted()))
	ok(t, x.remove("a"))
	ok(t, x.prepare("a", "", rooted()))
	keys := x.backendKeys()
	last := 0
	for i, user := range []string{"a", "b/c d", "a"} {
		parts := strings.SplitN(keys[i], "/", 3)
		var n int
		_, err := fmt.Sscan(parts[1], &n)
		if len(parts) != 3 || parts[0] != x.ns || err != nil || n <= last || parts[2] != user {
			t.Errorf("backend key %q for %q", keys[i], user)
		}
		last = n
	}
}

func TestL117_ConcurrentPrepare(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "race"})
	e := d.env(t).held()
	const racers = 8
	for round := range 10 {
		key := fmt.Sprintf("k%d", round)
		results := make([]error, racers)
		var group sync.WaitGroup
		for i := range racers {
			group.Go(func() { results[i] = e.tryPrepare(key, "", nil) })
		}
		group.Wait()
		won := 0
		for _, err := range results {
			if err == nil {
				won++
			} else if status.Code(err) != codes.AlreadyExists {
				t.Errorf("a loser got %v", err)
			}
		}
		equal(t, "winners", won, 1)
		ok(t, e.removeSnapshot(key))
	}
	e.gc()
	if left := names(t, filepath.Join(d.pluginDir("io.containerd.snapshotter.v1.overlayfs"), "snapshots")); len(left) != 0 {
		t.Errorf("folders left: %v", left)
	}
}

func TestL118_CrashAfterBackendPrepare(t *testing.T) {
	x := newProxied(t, "native")
	end := x.p.order("prepare", proxy.Fault{Mode: proxy.ModeHangAfter, Key: "lost"})
	done := make(chan error, 1)
	go func() { done <- x.prepare("lost", "", rooted()) }()
	eventually(t, 10*time.Second, "the backend has made it", func() bool { return x.p.hangs("prepare") })
	equal(t, "folders", len(x.folders()), 1)
	x.kill()
	<-done
	end()
	x.restart(t)
	_, err := x.stat("lost")
	wantCode(t, err, codes.NotFound)
	// Something to collect, so that a run looks at this snapshotter.
	ok(t, x.prepare("other", "", rooted()))
	ok(t, x.remove("other"))
	x.gc()
	eventually(t, 5*time.Second, "no folder is left", func() bool { return len(x.folders()) == 0 })
	ok(t, x.prepare("lost", "", rooted()))
}

func TestL119_CrashAfterBackendCommit(t *testing.T) {
	gantryOnly(t, "the snapshot cannot be committed any more")
	x := newProxied(t, "native")
	ok(t, x.prepare("key", "", rooted()))
	end := x.p.order("commit", proxy.Fault{Mode: proxy.ModeHangAfter})
	done := make(chan error, 1)
	go func() { done <- x.commit("name", "key", rooted()) }()
	eventually(t, 10*time.Second, "the backend has committed", func() bool { return x.p.hangs("commit") })
	x.kill()
	<-done
	end()
	x.restart(t)
	// The backend is asked for the outcome once the daemon serves; no start waits for another process.
	eventually(t, 10*time.Second, "the outcome is known", func() bool {
		info, err := x.stat("name")
		return err == nil && info.Kind == snapshotsapi.Kind_COMMITTED
	})
	ok(t, x.prepare("child", "name", rooted()))
	_, err := x.stat("key")
	wantCode(t, err, codes.NotFound)
}

// TestProxyCommitAndRemoval goes once through a whole life on a proxied backend.
func TestProxyCommitAndRemoval(t *testing.T) {
	x := newProxied(t, "overlay")
	lease := x.lease("", nil)
	held := &proxied{x.leased(lease), x.p}
	ok(t, held.prepare("key", "", nil))
	ok(t, held.commit("base", "key", nil))
	ok(t, held.prepare("key", "base", nil))
	usage, err := x.snapshots().Usage(x.ctx, &snapshotsapi.UsageRequest{Snapshotter: "proxied", Key: "base"})
	ok(t, err)
	if usage.Size == 0 || usage.Inodes == 0 {
		t.Errorf("usage %v", usage)
	}
	entry := x.plugin("io.containerd.snapshotter.v1", "proxied")
	equal(t, "exported site", entry.Exports["site"], "conformance")
	equal(t, "exported address", entry.Exports["address"], x.p.socket())
	x.deleteLease(lease, true)
	for _, key := range []string{"key", "base"} {
		_, err := x.stat(key)
		wantCode(t, err, codes.NotFound)
	}
	if left := x.folders(); len(left) != 0 {
		t.Errorf("folders left: %v", left)
	}
}

func TestL190_ProxyDownAtStart(t *testing.T) {
	t.Parallel()
	p := newProxysnap(t, "native", "snapshots")
	d := startDaemon(t, daemonOptions{name: "down", config: p.config()})
	x := &proxied{d.env(t), p}
	equal(t, "init_err", x.plugin("io.containerd.snapshotter.v1", "proxied").InitErr == nil, true)
	ctx := x.ctx
	x.env.ctx = shortened(t, ctx, 2*time.Second)
	err := x.prepare("key", "", nil)
	if code := status.Code(err); code != codes.Unavailable && code != codes.DeadlineExceeded {
		t.Errorf("while it is down: %v", err)
	}
	x.env.ctx = ctx
	p.start()
	eventually(t, 15*time.Second, "the proxy works", func() bool {
		err := x.prepare("key", "", rooted())
		return err == nil || status.Code(err) == codes.AlreadyExists
	})
	end := p.order("prepare", proxy.Fault{Mode: proxy.ModeError, Class: "resource exhausted"})
	wantCode(t, x.prepare("other", "", nil), codes.ResourceExhausted, "resource exhausted")
	end()
	p.stop()
	x.env.ctx = shortened(t, ctx, 2*time.Second)
	if err := x.prepare("third", "", nil); err == nil {
		t.Error("prepared without a backend")
	}
	x.env.ctx = ctx
	p.start()
	eventually(t, 15*time.Second, "the proxy works again", func() bool { return x.prepare("third", "", rooted()) == nil })
}
