// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/opencontainers/go-digest"
	"google.golang.org/grpc/codes"
)

func TestL063_WriteWithoutRef(t *testing.T) {
	e := newEnv(t)
	_, _, err := e.tryOpen("", 0, "")
	wantCode(t, err, codes.InvalidArgument, "first message must have a reference")
}

func TestL064_StatOnNewRef(t *testing.T) {
	e := newEnv(t)
	w, answer, err := e.tryOpen("ref", 7, "")
	ok(t, err)
	defer w.close()
	equal(t, "action", answer.Action, contentapi.WriteAction_STAT)
	equal(t, "offset", answer.Offset, 0)
	equal(t, "total", answer.Total, 7)
	equal(t, "digest", answer.Digest, digestOf(""))
	for _, at := range []time.Time{answer.StartedAt.AsTime(), answer.UpdatedAt.AsTime()} {
		if time.Since(at).Abs() > time.Minute {
			t.Errorf("time %v", at)
		}
	}
	status, err := e.status("ref")
	ok(t, err)
	equal(t, "ref", status.Ref, "ref")
	equal(t, "total", status.Total, 7)
}

func TestL065_WriteAtWrongOffset(t *testing.T) {
	e := newEnv(t)
	w := e.openWriter("ref", 0, "")
	answer := w.mustWrite("hello", 0)
	equal(t, "offset", answer.Offset, 5)
	equal(t, "digest", answer.Digest, digestOf("hello"))
	_, err := w.write("x", 3)
	wantCode(t, err, codes.OutOfRange, "current offset 5")
	w.cancel()
	w = e.openWriter("ref", 0, "")
	equal(t, "offset after reopening", w.stat().Offset, 5)
	answer = w.mustWrite(" world", 5)
	equal(t, "digest", answer.Digest, digestOf("hello world"))
	w.close()
	w = e.openWriter("ref", 0, "")
	_, err = w.write("x", 12)
	wantCode(t, err, codes.OutOfRange)
}

func TestL065_NegativeOffset(t *testing.T) {
	gantryOnly(t, "a negative offset appends")
	e := newEnv(t)
	w := e.openWriter("ref", 0, "")
	_, err := w.write("x", -1)
	wantCode(t, err, codes.OutOfRange)
}

func TestL066_WriteAtZeroRestarts(t *testing.T) {
	e := newEnv(t).held()
	w := e.openWriter("ref", 0, "")
	w.mustWrite("first attempt", 0)
	answer := w.mustWrite("second", 0)
	equal(t, "offset", answer.Offset, 6)
	answer, err := w.tryCommit("", 6, 6, digestOf("second"), nil)
	ok(t, err)
	equal(t, "digest", answer.Digest, digestOf("second"))
}

func TestL066_CommitAtZeroCommitsNothing(t *testing.T) {
	e := newEnv(t).held()
	w := e.openWriter("ref", 0, "")
	w.mustWrite("data", 0)
	answer, err := w.tryCommit("", 0, 0, "", nil)
	ok(t, err)
	equal(t, "digest", answer.Digest, digestOf(""))
}

func TestL066_UnknownAction(t *testing.T) {
	gantryOnly(t, "an unknown action is answered with the offset")
	e := newEnv(t)
	w := e.openWriter("ref", 0, "")
	_, err := w.send(&contentapi.WriteContentRequest{Action: 7})
	wantCode(t, err, codes.InvalidArgument)
}

func TestL067_CommitWrongDigest(t *testing.T) {
	e := newEnv(t).held()
	data := "wanted" + e.ns
	w := e.openWriter("ref", 0, "")
	w.mustWrite(data, 0)
	_, err := w.tryCommit("", int64(len(data)), 0, digestOf("other"+e.ns), nil)
	wantCode(t, err, codes.FailedPrecondition, "unexpected commit digest")
	w = e.openWriter("ref", 0, "")
	equal(t, "offset", w.stat().Offset, int64(len(data)))
	answer, err := w.tryCommit("", int64(len(data)), int64(len(data)), digestOf(data), nil)
	ok(t, err)
	equal(t, "digest", answer.Digest, digestOf(data))
	_, err = e.status("ref")
	wantCode(t, err, codes.NotFound)
}

func TestL068_CommitWrongTotal(t *testing.T) {
	e := newEnv(t).held()
	data := "wanted" + e.ns
	w := e.openWriter("ref", 0, "")
	w.mustWrite(data, 0)
	_, err := w.tryCommit("", int64(len(data)), 3, "", nil)
	wantCode(t, err, codes.FailedPrecondition, "failed size validation")
	w = e.openWriter("ref", 0, "")
	equal(t, "offset", w.stat().Offset, int64(len(data)))
	_, err = w.tryCommit("", int64(len(data)), 0, "", nil)
	ok(t, err)
	equal(t, "blob", e.hasBlob(digestOf(data)), true)
}

func TestL069_CommitExisting(t *testing.T) {
	e := newEnv(t)
	data := "there" + e.ns
	e.held().blob(data, nil)
	for _, expected := range []string{digestOf(data), ""} {
		lease := e.lease("", nil)
		w := e.leased(lease).openWriter("ref", 0, "")
		w.mustWrite(data, 0)
		_, err := w.tryCommit("", int64(len(data)), 0, expected, nil)
		wantCode(t, err, codes.AlreadyExists)
		if expected == "" {
			// Found out by the commit itself, which leases the content before it refuses.
			wantLease(t, e.leaseHolds(lease), inLease("content", digestOf(data)))
		}
		_, err = e.status("ref")
		wantCode(t, err, codes.NotFound)
		equal(t, "ingest folder", exists(e.ingestPath(e.ns, "ref")), false)
	}
	w := e.openWriter("ref", 0, "")
	equal(t, "offset", w.stat().Offset, 0)
}

func TestL070_ExpectedExists(t *testing.T) {
	e := newEnv(t)
	dgst := e.held().blob("there"+e.ns, nil)
	lease := e.lease("", nil)
	_, _, err := e.leased(lease).tryOpen("ref", 0, dgst)
	wantCode(t, err, codes.AlreadyExists)
	wantLease(t, e.leaseHolds(lease), inLease("content", dgst))
	w := e.openWriter("ref", 0, "")
	w.mustWrite("x", 0)
	_, err = w.send(&contentapi.WriteContentRequest{Action: contentapi.WriteAction_WRITE, Offset: 1, Expected: dgst})
	wantCode(t, err, codes.AlreadyExists)
	_, err = e.status("ref")
	wantCode(t, err, codes.NotFound)
}

func TestL071_BusyRef(t *testing.T) {
	e := newEnv(t)
	first := e.openWriter("ref", 0, "")
	_, _, err := e.tryOpen("ref", 0, "")
	wantCode(t, err, codes.Unavailable, "locked for")
	// Another namespace has refs of its own.
	e.sub().openWriter("ref", 0, "").close()
	first.cancel()
	eventually(t, 2*time.Second, "the ref is free", func() bool {
		w, _, err := e.tryOpen("ref", 0, "")
		if err == nil {
			w.close()
		}
		return err == nil
	})
}

func TestL072_ResumeAfterKill(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "crash"})
	e := d.env(t)
	half := strings.Repeat("half", 1000)
	w := e.openWriter("ref", int64(2*len(half)), "")
	w.mustWrite(half, 0)
	d.kill()
	d.restart(t)
	status, err := e.status("ref")
	ok(t, err)
	equal(t, "offset", status.Offset, int64(len(half)))
	equal(t, "total", status.Total, int64(2*len(half)))
	w = e.held().openWriter("ref", int64(2*len(half)), "")
	answer := w.stat()
	equal(t, "offset", answer.Offset, int64(len(half)))
	equal(t, "digest", answer.Digest, digestOf(half))
	answer, err = w.tryCommit(half, int64(len(half)), 0, digestOf(half+half), nil)
	ok(t, err)
	equal(t, "digest", answer.Digest, digestOf(half+half))
}

func TestL073_HalfClose(t *testing.T) {
	e := newEnv(t)
	w := e.openWriter("ref", 0, "")
	w.mustWrite("data", 0)
	before, err := e.status("ref")
	ok(t, err)
	time.Sleep(20 * time.Millisecond)
	ok(t, w.stream.CloseSend())
	for err == nil {
		_, err = w.stream.Recv()
	}
	equal(t, "end of stream", err, io.EOF)
	after, err := e.status("ref")
	ok(t, err)
	equal(t, "offset", after.Offset, 4)
	equal(t, "started_at", after.StartedAt.AsTime(), before.StartedAt.AsTime())
	if !after.UpdatedAt.AsTime().After(before.UpdatedAt.AsTime()) {
		t.Errorf("updated_at stayed at %v", before.UpdatedAt.AsTime())
	}
	statuses, err := e.content().ListStatuses(e.ctx, &contentapi.ListStatusesRequest{Filters: []string{"ref==ref"}})
	ok(t, err)
	equal(t, "statuses", len(statuses.Statuses), 1)
	statuses, err = e.content().ListStatuses(e.ctx, &contentapi.ListStatusesRequest{Filters: []string{"ref==other"}})
	ok(t, err)
	equal(t, "other statuses", len(statuses.Statuses), 0)
}

// plainReader hides all but Read.
type plainReader struct{ io.Reader }

func TestL074_Resume(t *testing.T) {
	e := newEnv(t).held()
	store := e.client.ContentStore()
	for _, percent := range []int{0, 10, 50, 90, 100} {
		for _, seekable := range []bool{true, false} {
			data := bytes.Repeat([]byte{byte(percent), byte(len(e.ns))}, 50000)
			if seekable {
				data = append(data, "seekable"...)
			}
			data = append(data, e.ns...)
			dgst := digest.FromBytes(data)
			w, err := content.OpenWriter(e.ctx, store, content.WithRef("ref"))
			ok(t, err)
			_, err = w.Write(data[:len(data)*percent/100])
			ok(t, err)
			ok(t, w.Close())
			w, err = content.OpenWriter(e.ctx, store, content.WithRef("ref"))
			ok(t, err)
			var source io.Reader = bytes.NewReader(data)
			if !seekable {
				source = plainReader{source}
			}
			if err := content.Copy(e.ctx, w, source, int64(len(data)), dgst); err != nil {
				t.Errorf("%d %%, seekable %v: %v", percent, seekable, err)
			}
			ok(t, w.Close())
			got, err := os.ReadFile(e.blobPath(dgst.String()))
			ok(t, err)
			equal(t, "same bytes", bytes.Equal(got, data), true)
		}
	}
}

func TestL075_IngestFolder(t *testing.T) {
	e := newEnv(t)
	w := e.openWriter("some ref", 42, "")
	w.mustWrite("data", 0)
	w.close()
	dir := e.ingestPath(e.ns, "some ref")
	if got := names(t, dir); !slices.Equal(got, []string{"data", "ref", "startedat", "total", "updatedat"}) {
		t.Errorf("files %v", got)
	}
	for file, want := range map[string]string{"data": "data", "ref": e.ns + "/1/some ref", "total": "42"} {
		got, err := os.ReadFile(filepath.Join(dir, file))
		ok(t, err)
		equal(t, file, string(got), want)
	}
	for _, file := range []string{"startedat", "updatedat"} {
		got, err := os.ReadFile(filepath.Join(dir, file))
		ok(t, err)
		at, err := time.Parse(time.RFC3339Nano, string(got))
		ok(t, err)
		if time.Since(at).Abs() > time.Minute {
			t.Errorf("%s is %v", file, at)
		}
	}
	w = e.openWriter("no total", 0, "")
	w.close()
	equal(t, "total", exists(filepath.Join(e.ingestPath(e.ns, "no total"), "total")), false)
}

func TestL077_ReopenWithOtherTotal(t *testing.T) {
	gantryOnly(t, "a reopened ingest keeps its old tail")
	e := newEnv(t).held()
	w := e.openWriter("ref", 100, "")
	w.mustWrite("a long first attempt", 0)
	w.close()
	w, answer, err := e.tryOpen("ref", 5, "")
	ok(t, err)
	equal(t, "offset", answer.Offset, 0)
	answer, err = w.tryCommit("short", 0, 5, digestOf("short"), nil)
	ok(t, err)
	equal(t, "digest", answer.Digest, digestOf("short"))
	info, err := e.info(digestOf("short"))
	ok(t, err)
	equal(t, "size", info.Size, 5)
}

func TestL085_Abort(t *testing.T) {
	e := newEnv(t)
	abort := func(ref string) error {
		_, err := e.content().Abort(e.ctx, &contentapi.AbortRequest{Ref: ref})
		return err
	}
	wantCode(t, abort("absent"), codes.NotFound)
	lease := e.lease("", nil)
	w := e.leased(lease).openWriter("ref", 0, "")
	w.mustWrite("data", 0)
	w.close()
	_, err := e.content().Abort(e.leased(lease).ctx, &contentapi.AbortRequest{Ref: "ref"})
	ok(t, err)
	wantLease(t, e.leaseHolds(lease))
	equal(t, "folder", exists(e.ingestPath(e.ns, "ref")), false)
	_, err = e.status("ref")
	wantCode(t, err, codes.NotFound)
	w = e.openWriter("ref", 0, "")
	equal(t, "offset", w.stat().Offset, 0)
}

func TestL085_AbortOfOpenIngest(t *testing.T) {
	gantryOnly(t, "an open ingest loses its folder")
	e := newEnv(t)
	w := e.openWriter("ref", 0, "")
	w.mustWrite("data", 0)
	_, err := e.content().Abort(e.ctx, &contentapi.AbortRequest{Ref: "ref"})
	if err == nil {
		_, err = w.write("more", 4)
		wantCode(t, err, codes.Aborted)
		return
	}
	wantCode(t, err, codes.Unavailable)
	w.mustWrite("more", 4)
}

func TestL088_CommitInvalidLabels(t *testing.T) {
	e := newEnv(t).held()
	w := e.openWriter("ref", 0, "")
	w.mustWrite("data", 0)
	_, err := w.tryCommit("", 4, 0, "", labelOf(4097))
	wantCode(t, err, codes.InvalidArgument)
	w = e.openWriter("ref", 0, "")
	equal(t, "offset", w.stat().Offset, 4)
	_, err = w.tryCommit("", 4, 0, "", labelOf(4096))
	ok(t, err)
}

func TestL090_IngestExpiry(t *testing.T) {
	e := newEnv(t)
	e.openWriter("unleased", 0, "").close()
	lease := e.lease("", nil)
	e.leased(lease).openWriter("leased", 0, "").close()
	e.gc()
	for _, ref := range []string{"unleased", "leased"} {
		_, err := e.status(ref)
		ok(t, err)
	}
	e.deleteLease(lease, true)
	_, err := e.status("leased")
	wantCode(t, err, codes.NotFound)
	equal(t, "leased folder", exists(e.ingestPath(e.ns, "leased")), false)
	_, err = e.status("unleased")
	ok(t, err)
}
