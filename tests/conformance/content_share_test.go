// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"testing"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	"google.golang.org/grpc/codes"
)

func TestL078_SharedPolicy(t *testing.T) {
	e := newEnv(t)
	data := "shared" + e.ns
	dgst := e.held().blob(data, nil)
	other := e.sub().held()
	for _, total := range []int64{0, int64(len(data))} {
		w, answer, err := other.tryOpen("ref", total, dgst)
		ok(t, err)
		equal(t, "offset", answer.Offset, int64(len(data)))
		equal(t, "digest", answer.Digest, dgst)
		w.close()
	}
	w := other.openWriter("ref", 0, dgst)
	answer, err := w.tryCommit("", int64(len(data)), int64(len(data)), dgst, map[string]string{"k": "v"})
	ok(t, err)
	equal(t, "digest", answer.Digest, dgst)
	w.close()
	info, err := other.info(dgst)
	ok(t, err)
	equal(t, "label", info.Labels["k"], "v")
	equal(t, "size", info.Size, int64(len(data)))
	// A total that is not the blob's size means another upload.
	third := e.sub().held()
	_, answer, err = third.tryOpen("ref", 3, dgst)
	ok(t, err)
	equal(t, "offset with a wrong total", answer.Offset, 0)
}

func isolated(t *testing.T) *env {
	t.Helper()
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "iso",
		config: "[plugins.'io.containerd.metadata.v1.bolt']\ncontent_sharing_policy = 'isolated'\n"})
	return d.env(t).held()
}

func TestL079_IsolatedPolicy(t *testing.T) {
	e := isolated(t)
	equal(t, "exported policy", e.plugin("io.containerd.metadata.v1", "bolt").Exports["policy"], "isolated")
	dgst := e.blob("isolated", nil)
	other := e.sub().held()
	w, answer, err := other.tryOpen("ref", 0, dgst)
	ok(t, err)
	equal(t, "offset", answer.Offset, 0)
	_, err = w.tryCommit("", 0, 0, dgst, nil)
	wantCode(t, err, codes.FailedPrecondition)
	w = other.openWriter("ref", 0, dgst)
	_, err = w.tryCommit("isolated", 0, 0, dgst, nil)
	ok(t, err)
	equal(t, "blob", other.hasBlob(dgst), true)
}

func TestL080_ShareableNamespace(t *testing.T) {
	e := isolated(t)
	for value, want := range map[string]int64{"true": 9, "True": 0, "1": 0, "false": 0} {
		owner := e.sub().held()
		data := "owner" + (value + "----")[:4]
		dgst := owner.blob(data, nil)
		ok(t, owner.setNamespaceLabel("containerd.io/namespace.shareable", value))
		_, answer, err := e.sub().held().tryOpen("ref", 0, dgst)
		ok(t, err)
		equal(t, "offset under "+value, answer.Offset, want)
	}
}

func TestL081_AppendToShared(t *testing.T) {
	e := newEnv(t)
	data := "base" + e.ns
	dgst := e.held().blob(data, nil)
	other := e.sub().held()
	w := other.openWriter("ref", 0, dgst)
	answer, err := w.write(" and more", int64(len(data)))
	ok(t, err)
	equal(t, "digest", answer.Digest, digestOf(data+" and more"))
	_, err = w.tryCommit("", answer.Offset, 0, digestOf(data+" and more"), nil)
	ok(t, err)
	chunks, err := e.read(dgst, 0, 0)
	ok(t, err)
	equal(t, "original", joined(chunks), data)
	chunks, err = other.read(digestOf(data+" and more"), 0, 0)
	ok(t, err)
	equal(t, "appended", joined(chunks), data+" and more")
	equal(t, "original elsewhere", other.hasBlob(dgst), false)
}

func TestL082_SharedCommitMismatch(t *testing.T) {
	e := newEnv(t)
	data := "mismatch" + e.ns
	dgst := e.held().blob(data, nil)
	size := int64(len(data))
	for name, request := range map[string]*contentapi.WriteContentRequest{
		"digest": {Action: contentapi.WriteAction_COMMIT, Offset: size, Total: size, Expected: digestOf("x")},
		"size":   {Action: contentapi.WriteAction_COMMIT, Offset: size, Total: size + 1, Expected: dgst},
	} {
		t.Run(name, func(t *testing.T) {
			other := e.with(t).sub().held()
			w := other.openWriter("ref", 0, dgst)
			_, err := w.send(request)
			wantCode(t, err, codes.FailedPrecondition)
			equal(t, "blob", other.hasBlob(dgst), false)
		})
	}
}

func TestL083_SharedIngestPinsBlob(t *testing.T) {
	e := newEnv(t)
	data := "pinned" + e.ns
	lease := e.lease("", nil)
	dgst := e.leased(lease).blob(data, nil)
	other := e.sub().held()
	other.openWriter("ref", 0, dgst).close()
	e.deleteLease(lease, true)
	equal(t, "owner's record", e.hasBlob(dgst), false)
	equal(t, "file", exists(e.blobPath(dgst)), true)
	w := other.openWriter("ref", 0, dgst)
	_, err := w.tryCommit("", int64(len(data)), int64(len(data)), dgst, nil)
	ok(t, err)
	equal(t, "blob", other.hasBlob(dgst), true)
}

func TestL084_StatusOfSharedIngest(t *testing.T) {
	gantryOnly(t, "the status of a shared ingest is NotFound")
	e := newEnv(t)
	data := "status" + e.ns
	dgst := e.held().blob(data, nil)
	other := e.sub().held()
	other.openWriter("ref", 0, dgst).close()
	status, err := other.status("ref")
	ok(t, err)
	equal(t, "offset", status.Offset, int64(len(data)))
	equal(t, "total", status.Total, int64(len(data)))
	equal(t, "expected", status.Expected, dgst)
	all, err := other.content().ListStatuses(other.ctx, &contentapi.ListStatusesRequest{})
	ok(t, err)
	equal(t, "listed", len(all.Statuses), 1)
}
