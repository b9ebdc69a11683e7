// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"slices"
	"testing"
	"time"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	leasesapi "github.com/containerd/containerd/api/services/leases/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"google.golang.org/grpc/codes"
)

func (e *env) addResource(lease, kind, id string) error {
	_, err := e.leases().AddResource(e.ctx, &leasesapi.AddResourceRequest{
		ID: lease, Resource: &leasesapi.Resource{Type: kind, ID: id}})
	return err
}

func (e *env) deleteResource(lease, kind, id string) error {
	_, err := e.leases().DeleteResource(e.ctx, &leasesapi.DeleteResourceRequest{
		ID: lease, Resource: &leasesapi.Resource{Type: kind, ID: id}})
	return err
}

func (e *env) listLeases(filters ...string) []string {
	e.t.Helper()
	answer, err := e.leases().List(e.ctx, &leasesapi.ListRequest{Filters: filters})
	ok(e.t, err)
	var ids []string
	for _, lease := range answer.Leases {
		ids = append(ids, lease.ID)
	}
	return ids
}

func TestL143_LeaseCreateDelete(t *testing.T) {
	e := newEnv(t)
	made := e.lease("", map[string]string{"k": "v"})
	if made == "" || made == e.lease("", nil) {
		t.Error("no id of its own")
	}
	named := e.lease("named one", map[string]string{"k": "w"})
	_, err := e.leases().Create(e.ctx, &leasesapi.CreateRequest{ID: named})
	wantCode(t, err, codes.AlreadyExists)
	if got := e.listLeases("labels.k==v"); !slices.Equal(got, []string{made}) {
		t.Errorf("label filter selects %v", got)
	}
	if got := e.listLeases(`id=="named one"`); !slices.Equal(got, []string{named}) {
		t.Errorf("id filter selects %v", got)
	}
	_, err = e.leases().List(e.ctx, &leasesapi.ListRequest{Filters: []string{"a=b"}})
	wantCode(t, err, codes.InvalidArgument)
	equal(t, "leases", len(e.listLeases()), 3)
	e.deleteLease(named, false)
	_, err = e.leases().Delete(e.ctx, &leasesapi.DeleteRequest{ID: named})
	wantCode(t, err, codes.NotFound)
	_, err = e.leases().ListResources(e.ctx, &leasesapi.ListResourcesRequest{ID: named})
	wantCode(t, err, codes.NotFound)
}

func TestL144_LeaseResourceTypes(t *testing.T) {
	e := newEnv(t)
	lease := e.lease("", nil)
	for _, row := range []struct {
		kind, id string
		code     codes.Code
	}{
		{"content", "nonsense", codes.InvalidArgument},
		{"content/x", someDigest, codes.InvalidArgument},
		{"ingests/x", "r", codes.InvalidArgument},
		{"images/x", "r", codes.InvalidArgument},
		{"snapshots", "k", codes.InvalidArgument},
		{"snapshots/a/b", "k", codes.InvalidArgument},
		{"containers", "c", codes.Unimplemented},
		{"tasks", "c", codes.Unimplemented},
		{"leases", "l", codes.Unimplemented},
		{"", "l", codes.Unimplemented},
	} {
		wantCode(t, e.addResource(lease, row.kind, row.id), row.code)
		wantCode(t, e.deleteResource(lease, row.kind, row.id), row.code)
	}
	wantCode(t, e.addResource("absent", "content", someDigest), codes.NotFound)
	wantCode(t, e.deleteResource("absent", "content", someDigest), codes.NotFound)
	wantLease(t, e.leaseHolds(lease))
}

func TestL144_LeaseSnapshotterIsNamed(t *testing.T) {
	gantryOnly(t, "an empty snapshotter name is Unknown, or accepted")
	e := newEnv(t)
	lease := e.lease("", nil)
	wantCode(t, e.addResource(lease, "snapshots/", "k"), codes.InvalidArgument)
	wantCode(t, e.deleteResource(lease, "snapshots/", "k"), codes.InvalidArgument)
}

func TestL145_LeaseResourcesAreIdempotent(t *testing.T) {
	e := newEnv(t)
	lease := e.lease("", nil)
	for _, kind := range []string{"ingests", "images", "snapshots/overlayfs", "snapshots/not-there"} {
		ok(t, e.addResource(lease, kind, "absent"))
		ok(t, e.addResource(lease, kind, "absent"))
		ok(t, e.deleteResource(lease, kind, "absent"))
		ok(t, e.deleteResource(lease, kind, "absent"))
	}
	ok(t, e.addResource(lease, "content", someDigest))
	ok(t, e.addResource(lease, "content", someDigest))
	wantLease(t, e.leaseHolds(lease), inLease("content", someDigest))
}

func TestL146_LeaseResourceOrder(t *testing.T) {
	e := newEnv(t)
	lease := e.lease("", nil)
	ok(t, e.addResource(lease, "snapshots/overlayfs", "k"))
	ok(t, e.addResource(lease, "snapshots/native", "k"))
	ok(t, e.addResource(lease, "ingests", "r"))
	ok(t, e.addResource(lease, "images", "i"))
	ok(t, e.addResource(lease, "content", someDigest))
	wantLease(t, e.leaseHolds(lease), inLease("content", someDigest), inLease("images", "i"), inLease("ingests", "r"),
		inLease("snapshots/native", "k"), inLease("snapshots/overlayfs", "k"))
}

func TestL147_UnknownLease(t *testing.T) {
	e := newEnv(t)
	unknown := e.leased("absent")
	_, err := e.snapshots().Prepare(unknown.ctx, &snapshotsapi.PrepareSnapshotRequest{Snapshotter: overlayfs, Key: "k"})
	wantCode(t, err, codes.NotFound)
	_, _, err = unknown.tryOpen("r", 0, "")
	wantCode(t, err, codes.NotFound)

	held := e.held()
	held.prepare("k", "", nil)
	ok(t, unknown.removeSnapshot("k"))
	held.openWriter("r", 0, "").close()
	_, err = e.content().Abort(unknown.ctx, &contentapi.AbortRequest{Ref: "r"})
	ok(t, err)
	e.image("i", someDigest, nil)
	_, err = e.images().Delete(unknown.ctx, &imagesapi.DeleteImageRequest{Name: "i"})
	ok(t, err)
	dgst := held.blob("b"+e.ns, nil)
	_, err = e.content().Delete(unknown.ctx, &contentapi.DeleteContentRequest{Digest: dgst})
	ok(t, err)
}

func TestL148_CommitSwapsLeaseEntries(t *testing.T) {
	e := newEnv(t)
	lease := e.lease("", nil)
	held := e.leased(lease)
	w := held.openWriter("ref", 0, "")
	wantLease(t, e.leaseHolds(lease), inLease("ingests", "ref"))
	data := "content" + e.ns
	w.commit(data, "", nil)
	wantLease(t, e.leaseHolds(lease), inLease("content", digestOf(data)))

	held.prepare("key", "", nil)
	wantLease(t, e.leaseHolds(lease), inLease("content", digestOf(data)), inLease("snapshots/overlayfs", "key"))
	held.commit("name", "key", nil)
	wantLease(t, e.leaseHolds(lease), inLease("content", digestOf(data)), inLease("snapshots/overlayfs", "name"))

	held.deleteBlob(digestOf(data))
	ok(t, held.removeSnapshot("name"))
	wantLease(t, e.leaseHolds(lease))
}

func TestL149_LeaseExpiry(t *testing.T) {
	e := newEnv(t)
	blobs := map[string]string{}
	// In the future, lest another test's collection takes the lease before it holds something.
	end := time.Now().Add(scaled(1500 * time.Millisecond))
	for id, value := range map[string]string{"dead": end.UTC().Format(time.RFC3339Nano), "alive": later(), "odd": "whenever"} {
		lease := e.lease(id, map[string]string{labelExpire: value})
		blobs[id] = e.leased(lease).blob(id+e.ns, nil)
	}
	e.gc()
	equal(t, "lease's blob before its end", e.hasBlob(blobs["dead"]), true)
	time.Sleep(time.Until(end))
	e.gc()
	equal(t, "dead lease's blob", e.hasBlob(blobs["dead"]), false)
	equal(t, "live lease's blob", e.hasBlob(blobs["alive"]), true)
	equal(t, "odd lease's blob", e.hasBlob(blobs["odd"]), true)
}

func TestL150_FlatLease(t *testing.T) {
	e := newEnv(t)
	temporary := e.lease("", nil)
	making := e.leased(temporary)
	layer := making.blob("layer"+e.ns, nil)
	manifest := making.blob("manifest"+e.ns, map[string]string{"containerd.io/gc.ref.content.l.0": layer})
	making.layer("base", "", nil)
	making.layer("top", "base", map[string]string{"containerd.io/gc.ref.content": layer})
	flat := e.lease("", map[string]string{"containerd.io/gc.flat": "any"})
	ok(t, e.addResource(flat, "content", manifest))
	ok(t, e.addResource(flat, "snapshots/overlayfs", "top"))
	e.deleteLease(temporary, true)
	equal(t, "manifest", e.hasBlob(manifest), true)
	equal(t, "layer", e.hasBlob(layer), false)
	equal(t, "top", e.hasSnapshot("top"), true)
	equal(t, "base", e.hasSnapshot("base"), true)
}

func TestL151_LeaseDeleteSync(t *testing.T) {
	e := newEnv(t)
	lease := e.lease("", nil)
	dgst := e.leased(lease).blob("sole"+e.ns, nil)
	e.leased(lease).prepare("key", "", nil)
	dir := e.snapshotDir("key")
	e.deleteLease(lease, true)
	equal(t, "blob file", exists(e.blobPath(dgst)), false)
	equal(t, "snapshot folder", exists(dir), false)

	// An empty lease triggers a full run all the same.
	holder := e.lease("", nil)
	dgst = e.leased(holder).blob("second"+e.ns, nil)
	empty := e.lease("", nil)
	ok(t, e.deleteResource(holder, "content", dgst))
	e.deleteLease(empty, true)
	equal(t, "blob file", exists(e.blobPath(dgst)), false)
}

func TestL152_LeaseExpiresOnIdleDaemon(t *testing.T) {
	gantryOnly(t, "nothing is collected on an idle daemon")
	t.Parallel()
	// No collection after the start: nothing but the expiry gives a reason for one.
	d := startDaemon(t, daemonOptions{name: "idle", config: schedulerConfig("startup_delay = '0s'")})
	e := d.env(t)
	lease := e.lease("", map[string]string{labelExpire: time.Now().Add(2 * time.Second).UTC().Format(time.RFC3339)})
	dgst := e.leased(lease).blob("idle", nil)
	eventually(t, 10*time.Second, "the blob of the expired lease is gone", func() bool { return !exists(d.blobPath(dgst)) })
}

// An expiry centuries off must not overflow a wait: once a collection knows of it, writes go on.
func TestL149_ExpiryInTheFarFuture(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "far-expiry"})
	e := d.env(t)
	e.lease("far", map[string]string{labelExpire: "9999-12-31T23:59:59Z"})
	passing := e.lease("passing", nil)
	_, err := e.leases().Delete(e.ctx, &leasesapi.DeleteRequest{ID: passing, Sync: true})
	ok(t, err)
	ctx, cancel := context.WithTimeout(e.ctx, 10*time.Second)
	defer cancel()
	for range 20 { // long enough for the collector to have nothing else to wait for
		_, err = e.leases().Create(ctx, &leasesapi.CreateRequest{})
		ok(t, err)
		time.Sleep(100 * time.Millisecond)
	}
}
