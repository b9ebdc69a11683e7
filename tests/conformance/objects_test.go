// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	contentapi "github.com/containerd/containerd/api/services/content/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	leasesapi "github.com/containerd/containerd/api/services/leases/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/opencontainers/go-digest"
	"google.golang.org/protobuf/types/known/anypb"
)

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	layerTar     = "application/vnd.oci.image.layer.v1.tar"
	runcName     = "io.containerd.runc.v2"
	overlayfs    = "overlayfs"
)

// blob stores data under its sha256 and returns the digest.
func (e *env) blob(data string, labels map[string]string) string {
	e.t.Helper()
	dgst := digest.FromString(data).String()
	w := e.openWriter("blob-"+dgst, int64(len(data)), "")
	w.commit(data, dgst, labels)
	return dgst
}

func (e *env) hasBlob(dgst string) bool {
	_, err := e.content().Info(e.ctx, &contentapi.InfoRequest{Digest: dgst})
	return err == nil
}

func (e *env) deleteBlob(dgst string) {
	e.t.Helper()
	_, err := e.content().Delete(e.ctx, &contentapi.DeleteContentRequest{Digest: dgst})
	ok(e.t, err)
}

// blobPath is where the backend keeps a blob.
func (d *daemon) blobPath(dgst string) string {
	parsed := digest.Digest(dgst)
	return filepath.Join(d.root, "io.containerd.content.v1.content", "blobs", parsed.Algorithm().String(), parsed.Encoded())
}

// ingestPath is where the backend keeps the ingest of ref in ns.
func (d *daemon) ingestPath(ns, ref string) string {
	sum := sha256.Sum256([]byte(ns + "/1/" + ref))
	return filepath.Join(d.root, "io.containerd.content.v1.content", "ingest", hex.EncodeToString(sum[:]))
}

func (e *env) image(name, target string, labels map[string]string) {
	e.t.Helper()
	_, err := e.images().Create(e.ctx, &imagesapi.CreateImageRequest{Image: imageOf(name, target, labels)})
	ok(e.t, err)
}

func imageOf(name, target string, labels map[string]string) *imagesapi.Image {
	return &imagesapi.Image{Name: name, Labels: labels, Target: descriptor(target)}
}

func descriptor(dgst string) *types.Descriptor {
	return &types.Descriptor{MediaType: manifestType, Digest: dgst, Size: 1}
}

func (e *env) hasImage(name string) bool {
	_, err := e.images().Get(e.ctx, &imagesapi.GetImageRequest{Name: name})
	return err == nil
}

func (e *env) deleteImage(name string, sync bool) {
	e.t.Helper()
	_, err := e.images().Delete(e.ctx, &imagesapi.DeleteImageRequest{Name: name, Sync: sync})
	ok(e.t, err)
}

// containerOf is a valid minimal record.
func containerOf(id string) *containersapi.Container {
	return &containersapi.Container{
		ID:      id,
		Runtime: &containersapi.Container_Runtime{Name: runcName},
		Spec:    anyOf("conformance.Spec", `{"test":true}`),
	}
}

func (e *env) container(c *containersapi.Container) *containersapi.Container {
	e.t.Helper()
	answer, err := e.containers().Create(e.ctx, &containersapi.CreateContainerRequest{Container: c})
	ok(e.t, err)
	return answer.Container
}

func (e *env) getContainer(id string) *containersapi.Container {
	e.t.Helper()
	answer, err := e.containers().Get(e.ctx, &containersapi.GetContainerRequest{ID: id})
	ok(e.t, err)
	return answer.Container
}

func (e *env) deleteContainer(id string) {
	e.t.Helper()
	_, err := e.containers().Delete(e.ctx, &containersapi.DeleteContainerRequest{ID: id})
	ok(e.t, err)
}

// lease makes a lease; an empty id lets the daemon choose.
func (e *env) lease(id string, labels map[string]string) string {
	e.t.Helper()
	answer, err := e.leases().Create(e.ctx, &leasesapi.CreateRequest{ID: id, Labels: labels})
	ok(e.t, err)
	return answer.Lease.ID
}

func (e *env) deleteLease(id string, sync bool) {
	e.t.Helper()
	_, err := e.leases().Delete(e.ctx, &leasesapi.DeleteRequest{ID: id, Sync: sync})
	ok(e.t, err)
}

// leaseHolds lists "type id" of everything in a lease, in the daemon's order.
func (e *env) leaseHolds(id string) []string {
	e.t.Helper()
	answer, err := e.leases().ListResources(e.ctx, &leasesapi.ListResourcesRequest{ID: id})
	ok(e.t, err)
	var all []string
	for _, r := range answer.Resources {
		all = append(all, r.Type+" "+r.ID)
	}
	return all
}

// inLease is one expected entry of leaseHolds.
func inLease(kind, id string) string { return kind + " " + id }

func wantLease(t testing.TB, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("lease holds %q, want %q", got, want)
	}
}

func (e *env) prepare(key, parent string, labels map[string]string) []*types.Mount {
	e.t.Helper()
	answer, err := e.snapshots().Prepare(e.ctx, &snapshotsapi.PrepareSnapshotRequest{
		Snapshotter: overlayfs, Key: key, Parent: parent, Labels: labels})
	ok(e.t, err)
	return answer.Mounts
}

func (e *env) view(key, parent string) []*types.Mount {
	e.t.Helper()
	answer, err := e.snapshots().View(e.ctx, &snapshotsapi.ViewSnapshotRequest{
		Snapshotter: overlayfs, Key: key, Parent: parent})
	ok(e.t, err)
	return answer.Mounts
}

func (e *env) commit(name, key string, labels map[string]string) {
	e.t.Helper()
	_, err := e.snapshots().Commit(e.ctx, &snapshotsapi.CommitSnapshotRequest{
		Snapshotter: overlayfs, Name: name, Key: key, Labels: labels})
	ok(e.t, err)
}

// layer makes an empty committed snapshot.
func (e *env) layer(name, parent string, labels map[string]string) {
	e.t.Helper()
	key := fmt.Sprintf("make %s", name)
	// The root label keeps the active snapshot from a collection by another test.
	e.prepare(key, parent, map[string]string{"containerd.io/gc.root": "make"})
	e.commit(name, key, labels)
}

func (e *env) stat(key string) (*snapshotsapi.Info, error) {
	answer, err := e.snapshots().Stat(e.ctx, &snapshotsapi.StatSnapshotRequest{Snapshotter: overlayfs, Key: key})
	if err != nil {
		return nil, err
	}
	return answer.Info, nil
}

func (e *env) hasSnapshot(key string) bool {
	_, err := e.stat(key)
	return err == nil
}

func (e *env) removeSnapshot(key string) error {
	_, err := e.snapshots().Remove(e.ctx, &snapshotsapi.RemoveSnapshotRequest{Snapshotter: overlayfs, Key: key})
	return err
}

func digestOf(data string) string { return digest.FromString(data).String() }

func anyMap(key string, value *anypb.Any) map[string]*anypb.Any {
	return map[string]*anypb.Any{key: value}
}

// anyValue is what tests look at in an Any.
type anyValue interface {
	GetTypeUrl() string
	GetValue() []byte
}

// snapshotDir is the folder of an active or committed overlayfs snapshot, as its mounts tell it.
func (e *env) snapshotDir(key string) string {
	e.t.Helper()
	info, err := e.stat(key)
	ok(e.t, err)
	if info.Kind == snapshotsapi.Kind_ACTIVE {
		answer, err := e.snapshots().Mounts(e.ctx, &snapshotsapi.MountsRequest{Snapshotter: overlayfs, Key: key})
		ok(e.t, err)
		return filepath.Dir(layerOf(answer.Mounts))
	}
	probe := "probe " + key
	mounts := e.view(probe, key)
	ok(e.t, e.removeSnapshot(probe))
	return filepath.Dir(layerOf(mounts))
}

// layerOf is the topmost layer folder of an overlayfs mount list.
func layerOf(mounts []*types.Mount) string {
	if mounts[0].Type == "bind" {
		return mounts[0].Source
	}
	for _, prefix := range []string{"upperdir=", "lowerdir="} {
		for _, option := range mounts[0].Options {
			if dirs, found := strings.CutPrefix(option, prefix); found {
				return strings.Split(dirs, ":")[0]
			}
		}
	}
	return ""
}
