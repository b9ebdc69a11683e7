// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"context"
	_ "crypto/sha512" // sha384 and sha512 digests
	"fmt"
	"maps"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	eventtypes "github.com/containerd/containerd/api/events"
	contentapi "github.com/containerd/containerd/api/services/content/v1"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/content/testsuite"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	"google.golang.org/grpc/codes"
)

func (e *env) info(dgst string) (*contentapi.Info, error) {
	answer, err := e.content().Info(e.ctx, &contentapi.InfoRequest{Digest: dgst})
	return answer.GetInfo(), err
}

// read returns all chunks of a Read.
func (e *env) read(dgst string, offset, size int64) ([]*contentapi.ReadContentResponse, error) {
	return drain(e.content().Read(e.ctx, &contentapi.ReadContentRequest{Digest: dgst, Offset: offset, Size: size}))
}

func joined(chunks []*contentapi.ReadContentResponse) string {
	var all []byte
	for _, chunk := range chunks {
		all = append(all, chunk.Data...)
	}
	return string(all)
}

func TestL057_InfoMalformedDigest(t *testing.T) {
	e := newEnv(t)
	for _, bad := range []string{"", "nonsense", "sha256:abc", "md5:d41d8cd98f00b204e9800998ecf8427e",
		"sha256:" + string(bytes.Repeat([]byte("G"), 64)), "sha256:" + string(bytes.Repeat([]byte("A"), 64))} {
		_, err := e.info(bad)
		wantCode(t, err, codes.InvalidArgument)
		_, err = e.content().Delete(e.ctx, &contentapi.DeleteContentRequest{Digest: bad})
		wantCode(t, err, codes.InvalidArgument)
		_, err = e.read(bad, 0, 0)
		wantCode(t, err, codes.InvalidArgument)
		_, err = e.content().Update(e.ctx, &contentapi.UpdateRequest{Info: &contentapi.Info{Digest: bad}})
		wantCode(t, err, codes.InvalidArgument)
	}
	dgst := e.sub().held().blob("elsewhere"+e.ns, nil)
	_, err := e.info(dgst)
	wantCode(t, err, codes.NotFound)
	_, err = e.read(dgst, 0, 0)
	wantCode(t, err, codes.NotFound)
	_, err = e.content().Delete(e.ctx, &contentapi.DeleteContentRequest{Digest: dgst})
	wantCode(t, err, codes.NotFound)
	_, err = e.content().Update(e.ctx, &contentapi.UpdateRequest{Info: &contentapi.Info{Digest: dgst}})
	wantCode(t, err, codes.NotFound)
}

func TestL058_OtherAlgorithms(t *testing.T) {
	e := newEnv(t).held()
	data := "other algorithm" + e.ns
	for _, algorithm := range []digest.Algorithm{digest.SHA384, digest.SHA512} {
		dgst := algorithm.FromString(data).String()
		w := e.openWriter("ref", 0, dgst)
		answer, err := w.tryCommit(data, 0, 0, dgst, nil)
		ok(t, err)
		equal(t, "answered digest", answer.Digest, dgst)
		w.close()
		info, err := e.info(dgst)
		ok(t, err)
		equal(t, "size", info.Size, int64(len(data)))
		chunks, err := e.read(dgst, 0, 0)
		ok(t, err)
		equal(t, "data", joined(chunks), data)
		equal(t, "file", exists(e.blobPath(dgst)), true)
	}
	listed, err := drain(e.content().List(e.ctx, &contentapi.ListContentRequest{}))
	ok(t, err)
	equal(t, "listed", len(listed[0].Info), 2)
}

func TestL059_ListInBatches(t *testing.T) {
	e := newEnv(t).held()
	none, err := drain(e.content().List(e.ctx, &contentapi.ListContentRequest{}))
	ok(t, err)
	equal(t, "messages for nothing", len(none), 0)
	for i := range 250 {
		e.blob(fmt.Sprintf("%s %d", e.ns, i), nil)
	}
	messages, err := drain(e.content().List(e.ctx, &contentapi.ListContentRequest{}))
	ok(t, err)
	var sizes []int
	var digests []string
	for _, m := range messages {
		sizes = append(sizes, len(m.Info))
		for _, info := range m.Info {
			digests = append(digests, info.Digest)
		}
	}
	if !slices.Equal(sizes, []int{100, 100, 50}) {
		t.Errorf("messages of %v", sizes)
	}
	if !slices.IsSorted(digests) || len(slices.Compact(digests)) != 250 {
		t.Error("digests are not 250 in byte order")
	}
	one, err := drain(e.content().List(e.ctx, &contentapi.ListContentRequest{Filters: []string{"digest==" + digests[7]}}))
	ok(t, err)
	equal(t, "filtered", one[0].Info[0].Digest, digests[7])
}

func TestL060_ReadRanges(t *testing.T) {
	e := newEnv(t).held()
	data := "0123456789" + e.ns
	dgst := e.blob(data, nil)
	size := int64(len(data))
	for _, row := range []struct {
		offset, size int64
		want         string
	}{
		{0, 0, data}, {3, 4, data[3:7]}, {3, 0, data[3:]}, {3, -1, data[3:]}, {0, size + 100, data}, {5, size, data[5:]},
		{-1, 2, data[:2]},
	} {
		chunks, err := e.read(dgst, row.offset, row.size)
		ok(t, err)
		equal(t, fmt.Sprintf("read %d %d", row.offset, row.size), joined(chunks), row.want)
	}
	chunks, err := e.read(dgst, size, 0)
	ok(t, err)
	equal(t, "messages at the end", len(chunks), 0)
	_, err = e.read(dgst, size+1, 0)
	wantCode(t, err, codes.OutOfRange)
}

func TestL061_L062_ReadOffsetsAndChunks(t *testing.T) {
	e := newEnv(t).held()
	data := string(bytes.Repeat([]byte("0123456789abcdef"), 200<<10)) + e.ns
	dgst := e.blob(data, nil)
	chunks, err := e.read(dgst, 100, 0)
	ok(t, err)
	var at int64
	for _, chunk := range chunks {
		equal(t, "offset", chunk.Offset, at)
		if len(chunk.Data) > 1<<20 {
			t.Errorf("chunk of %d bytes", len(chunk.Data))
		}
		at += int64(len(chunk.Data))
	}
	equal(t, "length", at, int64(len(data)-100))
	equal(t, "data", joined(chunks) == data[100:], true)
}

func TestL076_BlobFile(t *testing.T) {
	e := newEnv(t).held()
	dgst := e.blob("file of"+e.ns, nil)
	file, err := os.Stat(e.blobPath(dgst))
	ok(t, err)
	equal(t, "mode", file.Mode(), 0o444)
	info, err := e.info(dgst)
	ok(t, err)
	if apart := file.ModTime().Sub(info.CreatedAt.AsTime()).Abs(); apart > 2*time.Second {
		t.Errorf("mtime %v, created %v", file.ModTime(), info.CreatedAt.AsTime())
	}
	equal(t, "created and updated", info.CreatedAt.AsTime(), info.UpdatedAt.AsTime())
}

func TestL086_ContentUpdate(t *testing.T) {
	e := newEnv(t).held()
	dgst := e.blob("updated"+e.ns, map[string]string{"x": "1", "y": "2"})
	update := func(labels map[string]string, paths ...string) (*contentapi.Info, error) {
		answer, err := e.content().Update(e.ctx, &contentapi.UpdateRequest{
			Info: &contentapi.Info{Digest: dgst, Labels: labels, Size: 99}, UpdateMask: mask(paths...)})
		return answer.GetInfo(), err
	}
	for _, bad := range []string{"size", "digest", "created_at", "nope"} {
		_, err := update(map[string]string{"x": "9"}, "labels.x", bad)
		wantCode(t, err, codes.InvalidArgument, bad)
	}
	before, err := e.info(dgst)
	ok(t, err)
	for _, step := range []struct {
		labels map[string]string
		paths  []string
		want   map[string]string
	}{
		{map[string]string{"x": "3", "z": "4"}, []string{"labels.x"}, map[string]string{"x": "3", "y": "2"}},
		{nil, []string{"labels.y"}, map[string]string{"x": "3"}},
		{map[string]string{"a.b/c": "5"}, []string{"labels.a.b/c"}, map[string]string{"x": "3", "a.b/c": "5"}},
		{map[string]string{"n": "6"}, []string{"labels"}, map[string]string{"n": "6"}},
		{map[string]string{"o": "7"}, nil, map[string]string{"o": "7"}},
	} {
		answered, err := update(step.labels, step.paths...)
		ok(t, err)
		stored, err := e.info(dgst)
		ok(t, err)
		if !maps.Equal(stored.Labels, step.want) || !maps.Equal(answered.Labels, step.want) {
			t.Errorf("%v: stored %v, answered %v, want %v", step.paths, stored.Labels, answered.Labels, step.want)
		}
		equal(t, "size", stored.Size, before.Size)
		equal(t, "created_at", stored.CreatedAt.AsTime(), before.CreatedAt.AsTime())
		if !stored.UpdatedAt.AsTime().After(before.UpdatedAt.AsTime()) {
			t.Error("updated_at did not grow")
		}
	}
}

func TestL087_ContentDelete(t *testing.T) {
	e := newEnv(t)
	other := e.sub().held()
	data := "deleted" + e.ns
	dgst := e.held().blob(data, nil)
	other.blob(data, nil)
	e.deleteBlob(dgst)
	_, err := e.info(dgst)
	wantCode(t, err, codes.NotFound)
	e.gc()
	equal(t, "file while another namespace has it", exists(e.blobPath(dgst)), true)
	other.deleteBlob(dgst)
	e.gc()
	equal(t, "file", exists(e.blobPath(dgst)), false)
}

func TestL089_ContentEvents(t *testing.T) {
	e := newEnv(t).held()
	events := e.subscribe(`topic~="^/content/"`)
	data := "event" + e.ns
	dgst := e.blob(data, nil)
	_, _, err := e.tryOpen("again", 0, dgst)
	wantCode(t, err, codes.AlreadyExists)
	w := e.openWriter("once more", 0, "")
	_, err = w.tryCommit(data, 0, 0, "", nil)
	wantCode(t, err, codes.AlreadyExists)
	e.deleteBlob(dgst)
	created := decode[*eventtypes.ContentCreate](events.want(t, "/content/create", e.ns))
	equal(t, "digest", created.Digest, dgst)
	equal(t, "size", created.Size, int64(len(data)))
	deleted := decode[*eventtypes.ContentDelete](events.want(t, "/content/delete", e.ns))
	equal(t, "digest", deleted.Digest, dgst)
}

// TestContentSuite runs upstream's suite for content stores through the service.
func TestContentSuite(t *testing.T) {
	t.Parallel()
	testsuite.ContentSuite(t, "Content", func(ctx context.Context, _ string) (context.Context, content.Store, func() error, error) {
		var count atomic.Uint64
		name := testsuite.Name(ctx)
		store := common.client.ContentStore()
		namespace := func(n uint64) string { return fmt.Sprintf("%s-n%d", name, n) }
		wrap := func(ctx context.Context, _ bool) (context.Context, func(context.Context) error, error) {
			return common.client.WithLease(namespaces.WithNamespace(ctx, namespace(count.Add(1))))
		}
		cleanup := func() error {
			for n := uint64(1); n <= count.Load(); n++ {
				if err := emptyStore(namespaces.WithNamespace(ctx, namespace(n)), store); err != nil {
					return err
				}
			}
			return nil
		}
		return testsuite.SetContextWrapper(ctx, wrap), store, cleanup, nil
	})
}

// emptyStore drops all ingests and blobs of a namespace.
func emptyStore(ctx context.Context, store content.Store) error {
	statuses, err := store.ListStatuses(ctx)
	if err != nil {
		return err
	}
	for _, status := range statuses {
		if err := store.Abort(ctx, status.Ref); err != nil && !errdefs.IsNotFound(err) {
			return err
		}
	}
	return store.Walk(ctx, func(info content.Info) error {
		if err := store.Delete(ctx, info.Digest); err != nil && !errdefs.IsNotFound(err) {
			return err
		}
		return nil
	})
}

// infoOf is an Info with one label.
func infoOf(dgst, key, value string) content.Info {
	return content.Info{Digest: digest.Digest(dgst), Labels: map[string]string{key: value}}
}
