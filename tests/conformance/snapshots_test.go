// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	eventtypes "github.com/containerd/containerd/api/events"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/api/types"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

const labelTarget = "containerd.io/snapshot.ref"

func (e *env) tryPrepare(key, parent string, labels map[string]string) error {
	_, err := e.snapshots().Prepare(e.ctx, &snapshotsapi.PrepareSnapshotRequest{
		Snapshotter: overlayfs, Key: key, Parent: parent, Labels: labels})
	return err
}

func (e *env) tryView(key, parent string, labels map[string]string) error {
	_, err := e.snapshots().View(e.ctx, &snapshotsapi.ViewSnapshotRequest{
		Snapshotter: overlayfs, Key: key, Parent: parent, Labels: labels})
	return err
}

func (e *env) tryCommitSnapshot(name, key, parent string, labels map[string]string) error {
	_, err := e.snapshots().Commit(e.ctx, &snapshotsapi.CommitSnapshotRequest{
		Snapshotter: overlayfs, Name: name, Key: key, Parent: parent, Labels: labels})
	return err
}

func (e *env) getMounts(key string) ([]*types.Mount, error) {
	answer, err := e.snapshots().Mounts(e.ctx, &snapshotsapi.MountsRequest{Snapshotter: overlayfs, Key: key})
	return answer.GetMounts(), err
}

func TestL099_Snapshotter(t *testing.T) {
	e := newEnv(t)
	for _, name := range snapshotRPCs {
		t.Run(name, func(t *testing.T) {
			wantCode(t, e.snapshotRPC(e.ctx, name, ""), codes.InvalidArgument, "snapshotter argument missing")
			wantCode(t, e.snapshotRPC(e.ctx, name, "absent"), codes.InvalidArgument, "snapshotter not loaded: absent")
		})
	}
	for _, name := range []string{"Mounts", "Commit", "Remove", "Stat", "Update", "Usage"} {
		wantCode(t, e.snapshotRPC(e.ctx, name, overlayfs), codes.NotFound)
	}
}

func TestL099_Cleanup(t *testing.T) {
	gantryOnly(t, "Cleanup is Unimplemented for every built-in snapshotter")
	e := newEnv(t)
	ok(t, e.snapshotRPC(e.ctx, "Cleanup", overlayfs))
}

func TestL100_PrepareExisting(t *testing.T) {
	e := newEnv(t)
	held := e.held()
	held.prepare("active", "", nil)
	held.layer("committed", "", nil)
	held.view("view", "committed")
	for _, key := range []string{"active", "committed", "view"} {
		for name, try := range map[string]func(e *env) error{
			"prepare": func(e *env) error { return e.tryPrepare(key, "", nil) },
			"view":    func(e *env) error { return e.tryView(key, "", nil) },
		} {
			lease := e.lease("", nil)
			wantCode(t, try(e.leased(lease)), codes.AlreadyExists)
			if got := e.leaseHolds(lease); !slices.Equal(got, []string{inLease("snapshots/overlayfs", key)}) {
				t.Errorf("%s of %s leased %v", name, key, got)
			}
		}
	}
	wantCode(t, e.tryPrepare("x", "", labelOf(4097)), codes.InvalidArgument)
}

func TestL101_PrepareWithTargetPresent(t *testing.T) {
	e := newEnv(t)
	e.held().layer("target", "", nil)
	lease := e.lease("", nil)
	wantCode(t, e.leased(lease).tryPrepare("key", "", map[string]string{labelTarget: "target"}), codes.AlreadyExists)
	wantLease(t, e.leaseHolds(lease), inLease("snapshots/overlayfs", "target"))
	equal(t, "key was made", e.hasSnapshot("key"), false)
	ok(t, e.leased(lease).tryPrepare("key", "", map[string]string{labelTarget: "other target"}))
}

func TestL102_PrepareParents(t *testing.T) {
	e := newEnv(t).held()
	e.prepare("active", "", nil)
	for _, try := range []func(key, parent string, labels map[string]string) error{e.tryPrepare, e.tryView} {
		wantCode(t, try("key", "absent", nil), codes.NotFound)
		wantCode(t, try("key", "active", nil), codes.InvalidArgument)
	}
	equal(t, "key was made", e.hasSnapshot("key"), false)
}

func TestL107_Commit(t *testing.T) {
	e := newEnv(t)
	held := e.held()
	held.layer("name", "", nil)
	held.prepare("key", "", nil)
	lease := e.lease("", nil)
	wantCode(t, e.leased(lease).tryCommitSnapshot("name", "key", "", nil), codes.AlreadyExists)
	wantLease(t, e.leaseHolds(lease), inLease("snapshots/overlayfs", "name"))
	wantCode(t, held.tryCommitSnapshot("key", "key", "", nil), codes.AlreadyExists)
	held.view("view", "name")
	wantCode(t, held.tryCommitSnapshot("new", "view", "", nil), codes.FailedPrecondition)
	wantCode(t, held.tryCommitSnapshot("new", "name", "", nil), codes.FailedPrecondition)
	wantCode(t, held.tryCommitSnapshot("new", "absent", "", nil), codes.NotFound)
	wantCode(t, held.tryCommitSnapshot("new", "key", "", labelOf(4097)), codes.InvalidArgument)
	equal(t, "new was made", e.hasSnapshot("new"), false)
	held.commit("new", "key", nil)
	equal(t, "key is left", e.hasSnapshot("key"), false)
	held.prepare("key", "new", nil)
}

func TestL108_CommitDoesNotInheritLabels(t *testing.T) {
	e := newEnv(t).held()
	e.prepare("key", "", map[string]string{"a": "1", "containerd.io/snapshot/x": "2"})
	e.commit("name", "key", map[string]string{"b": "3"})
	info, err := e.stat("name")
	ok(t, err)
	if !maps.Equal(info.Labels, map[string]string{"b": "3"}) {
		t.Errorf("labels %v", info.Labels)
	}
	equal(t, "kind", info.Kind, snapshotsapi.Kind_COMMITTED)
}

func TestL109_Rebase(t *testing.T) {
	e := newEnv(t).held()
	e.layer("base", "", nil)
	e.prepare("key", "", nil)
	wantCode(t, e.tryCommitSnapshot("top", "key", "absent", nil), codes.NotFound)
	e.prepare("active", "", nil)
	wantCode(t, e.tryCommitSnapshot("top", "key", "active", nil), codes.FailedPrecondition)
	ok(t, e.tryCommitSnapshot("top", "key", "base", nil))
	info, err := e.stat("top")
	ok(t, err)
	equal(t, "parent", info.Parent, "base")
	wantCode(t, e.removeSnapshot("base"), codes.FailedPrecondition)
	mounts := e.prepare("use", "top", nil)
	equal(t, "mount type", mounts[0].Type, "overlay")
	// Naming the parent that it has is no change.
	ok(t, e.tryCommitSnapshot("same", "use", "top", nil))
}

func TestL109_RebaseToDifferingParent(t *testing.T) {
	gantryOnly(t, "a differing parent is ignored")
	e := newEnv(t).held()
	e.layer("base", "", nil)
	e.layer("other", "", nil)
	e.prepare("key", "base", nil)
	wantCode(t, e.tryCommitSnapshot("top", "key", "other", nil), codes.InvalidArgument)
}

func TestL110_RemoveWithChild(t *testing.T) {
	e := newEnv(t).held()
	e.layer("a", "", nil)
	e.layer("b", "a", nil)
	e.prepare("c", "b", nil)
	e.view("d", "b")
	wantCode(t, e.removeSnapshot("a"), codes.FailedPrecondition, "cannot remove snapshot with child")
	wantCode(t, e.removeSnapshot("b"), codes.FailedPrecondition, "cannot remove snapshot with child")
	for _, key := range []string{"d", "c", "b", "a"} {
		ok(t, e.removeSnapshot(key))
		equal(t, key+" is left", e.hasSnapshot(key), false)
	}
	wantCode(t, e.removeSnapshot("a"), codes.NotFound)
}

func TestL111_RemoveAfterCollectedChild(t *testing.T) {
	gantryOnly(t, "a collected child stays linked to its parent")
	e := newEnv(t)
	lease := e.lease("", nil)
	e.held().layer("parent", "", nil)
	e.leased(lease).layer("child", "parent", nil)
	e.deleteLease(lease, true)
	equal(t, "child is left", e.hasSnapshot("child"), false)
	ok(t, e.removeSnapshot("parent"))
}

func TestL112_Mounts(t *testing.T) {
	e := newEnv(t).held()
	e.layer("base", "", nil)
	e.layer("top", "base", nil)
	_, err := e.getMounts("base")
	wantCode(t, err, codes.FailedPrecondition)
	_, err = e.getMounts("absent")
	wantCode(t, err, codes.NotFound)
	for key, made := range map[string][]*types.Mount{
		"base active": e.prepare("base active", "", nil), "active": e.prepare("active", "top", nil),
		"base view": e.view("base view", ""), "single view": e.view("single view", "base"),
		"view": e.view("view", "top"),
	} {
		again, err := e.getMounts(key)
		ok(t, err)
		if !sameMounts(made, again) {
			t.Errorf("%s: made with %v, now %v", key, made, again)
		}
	}
}

func sameMounts(a, b []*types.Mount) bool {
	return slices.EqualFunc(a, b, func(x, y *types.Mount) bool { return proto.Equal(x, y) })
}

func TestL113_SnapshotEvents(t *testing.T) {
	e := newEnv(t).held()
	events := e.subscribe(`topic~="^/snapshot"`)
	e.layer("base", "", nil)
	e.view("view", "base")
	ok(t, e.removeSnapshot("view"))
	e.prepare("key", "base", nil)
	wantCode(t, e.tryPrepare("key", "base", nil), codes.AlreadyExists)
	e.commit("name", "key", nil)

	events.want(t, "/snapshot/prepare", e.ns)
	events.want(t, "/snapshot/commit", e.ns)
	removed := decode[*eventtypes.SnapshotRemove](events.want(t, "/snapshot/remove", e.ns))
	equal(t, "removed", removed.Key+" of "+removed.Snapshotter, "view of overlayfs")
	prepared := decode[*eventtypes.SnapshotPrepare](events.want(t, "/snapshot/prepare", e.ns))
	equal(t, "prepared", prepared.Key+" on "+prepared.Parent+" of "+prepared.Snapshotter, "key on base of overlayfs")
	committed := decode[*eventtypes.SnapshotCommit](events.want(t, "/snapshot/commit", e.ns))
	equal(t, "committed", committed.Key+" as "+committed.Name+" of "+committed.Snapshotter, "key as name of overlayfs")
	events.none(t, 50*time.Millisecond)
}

func TestL114_SnapshotUpdate(t *testing.T) {
	e := newEnv(t).held()
	e.layer("base", "", nil)
	e.prepare("key", "base", map[string]string{"x": "1", "y": "2"})
	before, err := e.stat("key")
	ok(t, err)
	equal(t, "created and updated", before.CreatedAt.AsTime(), before.UpdatedAt.AsTime())
	update := func(labels map[string]string, paths ...string) (*snapshotsapi.Info, error) {
		answer, err := e.snapshots().Update(e.ctx, &snapshotsapi.UpdateSnapshotRequest{Snapshotter: overlayfs,
			Info:       &snapshotsapi.Info{Name: "key", Parent: "other", Kind: snapshotsapi.Kind_VIEW, Labels: labels},
			UpdateMask: mask(paths...)})
		return answer.GetInfo(), err
	}
	for _, bad := range []string{"parent", "kind", "name", "created_at"} {
		_, err := update(map[string]string{"x": "9"}, "labels.x", bad)
		wantCode(t, err, codes.InvalidArgument, bad)
	}
	for _, step := range []struct {
		labels map[string]string
		paths  []string
		want   map[string]string
	}{
		{map[string]string{"x": "3", "z": "4"}, []string{"labels.x"}, map[string]string{"x": "3", "y": "2"}},
		{nil, []string{"labels.y"}, map[string]string{"x": "3"}},
		{map[string]string{"containerd.io/snapshot/n": "5"}, []string{"labels"}, map[string]string{"containerd.io/snapshot/n": "5"}},
		{map[string]string{"o": "7"}, nil, map[string]string{"o": "7"}},
	} {
		_, err := update(step.labels, step.paths...)
		ok(t, err)
		after, err := e.stat("key")
		ok(t, err)
		if !maps.Equal(after.Labels, step.want) {
			t.Errorf("%v: labels %v, want %v", step.paths, after.Labels, step.want)
		}
		equal(t, "parent", after.Parent, "base")
		equal(t, "kind", after.Kind, snapshotsapi.Kind_ACTIVE)
		equal(t, "created_at", after.CreatedAt.AsTime(), before.CreatedAt.AsTime())
		if !after.UpdatedAt.AsTime().After(before.UpdatedAt.AsTime()) {
			t.Error("updated_at did not grow")
		}
	}
	_, err = e.snapshots().Update(e.ctx, &snapshotsapi.UpdateSnapshotRequest{Snapshotter: overlayfs,
		Info: &snapshotsapi.Info{Name: "absent"}})
	wantCode(t, err, codes.NotFound)
}

func TestL115_SnapshotListInBatches(t *testing.T) {
	e := newEnv(t).held()
	for i := range 250 {
		e.prepare(fmt.Sprintf("k%03d", i), "", nil)
	}
	messages, err := drain(e.snapshots().List(e.ctx, &snapshotsapi.ListSnapshotsRequest{Snapshotter: overlayfs}))
	ok(t, err)
	var sizes []int
	var keys []string
	for _, m := range messages {
		sizes = append(sizes, len(m.Info))
		for _, info := range m.Info {
			keys = append(keys, info.Name)
			equal(t, "kind of "+info.Name, info.Kind, snapshotsapi.Kind_ACTIVE)
		}
	}
	slices.Sort(keys)
	equal(t, "keys", len(slices.Compact(keys)), 250)
	if !slices.Equal(sizes, []int{100, 100, 50}) {
		t.Errorf("messages of %v", sizes)
	}
}
