// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	diffapi "github.com/containerd/containerd/api/services/diff/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/opencontainers/go-digest"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// changed makes a committed base and an active snapshot that differs from it, and a view of the base.
func (e *env) changed() (left, right []*types.Mount) {
	e.t.Helper()
	t := e.t
	_, err := e.apply(e.prepare("make", "", nil), tarOf(t, folder("dir/"), file("dir/same", "s"), file("dir/gone", "g"),
		file("top", "old")), "")
	ok(t, err)
	e.commit("base", "make", nil)
	right = e.prepare("change", "base", nil)
	e.inside(right, func(root string) {
		ok(t, os.Remove(filepath.Join(root, "dir", "gone")))
		ok(t, os.WriteFile(filepath.Join(root, "top"), []byte("new "+e.ns), 0o644))
		ok(t, os.WriteFile(filepath.Join(root, "dir", "added"), []byte("a"), 0o600))
		ok(t, os.Link(filepath.Join(root, "dir", "added"), filepath.Join(root, "dir", "again")))
		ok(t, os.Symlink("top", filepath.Join(root, "sym")))
	})
	return e.view("left", "base"), right
}

func (e *env) compare(request *diffapi.DiffRequest) (*types.Descriptor, error) {
	answer, err := e.diff().Diff(e.ctx, request)
	return answer.GetDiff(), err
}

// members reads a stored layer.
func (e *env) members(desc *types.Descriptor, compression string) map[string]*tar.Header {
	e.t.Helper()
	chunks, err := e.read(desc.Digest, 0, 0)
	ok(e.t, err)
	r := tar.NewReader(bytes.NewReader(unpacked(e.t, []byte(joined(chunks)), compression)))
	found := map[string]*tar.Header{}
	for {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		ok(e.t, err)
		found[header.Name] = header
	}
}

func TestL138_DiffMediaTypes(t *testing.T) {
	e := newEnv(t).held()
	left, right := e.changed()
	_, err := e.compare(&diffapi.DiffRequest{Left: left, Right: right, MediaType: "application/x.nope"})
	wantCode(t, err, codes.Unimplemented)
	for compression, mediaType := range layerTypes {
		desc, err := e.compare(&diffapi.DiffRequest{Left: left, Right: right, MediaType: mediaType})
		ok(t, err)
		equal(t, "media type", desc.MediaType, mediaType)
		checkMembers(t, e.members(desc, compression))
		info, err := e.info(desc.Digest)
		ok(t, err)
		equal(t, "size", info.Size, desc.Size)
	}
	desc, err := e.compare(&diffapi.DiffRequest{Left: left, Right: right})
	ok(t, err)
	equal(t, "default media type", desc.MediaType, layerTypes["gzip"])
}

func checkMembers(t *testing.T, members map[string]*tar.Header) {
	t.Helper()
	want := []string{"dir/", "dir/.wh.gone", "dir/added", "dir/again", "sym", "top"}
	if got := slices.Sorted(maps.Keys(members)); !slices.Equal(got, want) {
		t.Errorf("members %v, want %v", got, want)
		return
	}
	equal(t, "symlink", members["sym"].Linkname, "top")
	kinds := string([]byte{members["dir/added"].Typeflag, members["dir/again"].Typeflag})
	equal(t, "hard link", kinds, string([]byte{tar.TypeReg, tar.TypeLink}))
}

func TestL139_UncompressedLabel(t *testing.T) {
	e := newEnv(t).held()
	left, right := e.changed()
	epoch := timestamppb.New(fixedTime) // The same bytes each time.
	desc, err := e.compare(&diffapi.DiffRequest{Left: left, Right: right, Labels: map[string]string{"k": "v"}, SourceDateEpoch: epoch})
	ok(t, err)
	info, err := e.info(desc.Digest)
	ok(t, err)
	chunks, err := e.read(desc.Digest, 0, 0)
	ok(t, err)
	diffID := digest.FromBytes(unpacked(t, []byte(joined(chunks)), "gzip")).String()
	equal(t, "label", info.Labels["containerd.io/uncompressed"], diffID)
	equal(t, "own label", info.Labels["k"], "v")

	other := e.sub().held()
	other.blob(joined(chunks), map[string]string{"x": "y"})
	left, right = other.changed2(e)
	desc, err = other.compare(&diffapi.DiffRequest{Left: left, Right: right, SourceDateEpoch: epoch})
	ok(t, err)
	equal(t, "same digest", desc.Digest, digest.FromString(joined(chunks)).String())
	info, err = other.info(desc.Digest)
	ok(t, err)
	equal(t, "label", info.Labels["containerd.io/uncompressed"], diffID)
	equal(t, "kept label", info.Labels["x"], "y")

	desc, err = e.compare(&diffapi.DiffRequest{Left: left, Right: right, MediaType: layerTar})
	ok(t, err)
	info, err = e.info(desc.Digest)
	ok(t, err)
	equal(t, "label on a plain tar", info.Labels["containerd.io/uncompressed"], "")
}

// changed2 is the mounts of from's snapshots: mounts know no namespace.
func (e *env) changed2(from *env) (left, right []*types.Mount) {
	e.t.Helper()
	left, err := from.getMounts("left")
	ok(e.t, err)
	right, err = from.getMounts("change")
	ok(e.t, err)
	return left, right
}

func TestL140_DiffIsReproducible(t *testing.T) {
	e := newEnv(t).held()
	left, right := e.changed()
	epoch := timestamppb.New(fixedTime.Add(-time.Hour))
	request := &diffapi.DiffRequest{Left: left, Right: right, SourceDateEpoch: epoch}
	first, err := e.compare(request)
	ok(t, err)
	time.Sleep(10 * time.Millisecond)
	second, err := e.compare(request)
	ok(t, err)
	equal(t, "digest", second.Digest, first.Digest)
	for name, header := range e.members(first, "gzip") {
		if header.ModTime.After(epoch.AsTime()) {
			t.Errorf("%s has mtime %v", name, header.ModTime)
		}
	}
	desc, err := e.compare(&diffapi.DiffRequest{Left: left, Right: right})
	ok(t, err)
	equal(t, "whiteout's mtime", e.members(desc, "gzip")["dir/.wh.gone"].ModTime.Unix(), 0)
}

func TestL141_DiffOverExistingIngest(t *testing.T) {
	e := newEnv(t).held()
	left, right := e.changed()
	w := e.openWriter("ref", 0, "")
	w.mustWrite("something else", 0)
	_, err := e.compare(&diffapi.DiffRequest{Left: left, Right: right, Ref: "ref"})
	wantCode(t, err, codes.Unavailable)
	w.close()
	desc, err := e.compare(&diffapi.DiffRequest{Left: left, Right: right, Ref: "ref"})
	ok(t, err)
	checkMembers(t, e.members(desc, "gzip"))
	_, err = e.status("ref")
	wantCode(t, err, codes.NotFound)
}

func TestDiffJoinsLease(t *testing.T) {
	e := newEnv(t)
	left, right := e.held().changed()
	lease := e.lease("", nil)
	desc, err := e.leased(lease).compare(&diffapi.DiffRequest{Left: left, Right: right})
	ok(t, err)
	wantLease(t, e.leaseHolds(lease), inLease("content", desc.Digest))
}
