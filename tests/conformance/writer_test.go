// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"errors"
	"io"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// writer is one raw Write stream.
type writer struct {
	e      *env
	stream contentapi.Content_WriteClient
	cancel context.CancelFunc
	ref    string
}

// send makes one round trip.
func (w *writer) send(req *contentapi.WriteContentRequest) (*contentapi.WriteContentResponse, error) {
	if err := w.stream.Send(req); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return w.stream.Recv()
}

// tryOpen opens the stream and sends the first STAT.
func (e *env) tryOpen(ref string, total int64, expected string) (*writer, *contentapi.WriteContentResponse, error) {
	e.t.Helper()
	ctx, cancel := context.WithCancel(e.ctx)
	e.t.Cleanup(cancel)
	stream, err := e.content().Write(ctx)
	if err != nil {
		cancel()
		return nil, nil, err
	}
	w := &writer{e: e, stream: stream, cancel: cancel, ref: ref}
	answer, err := w.send(&contentapi.WriteContentRequest{Ref: ref, Total: total, Expected: expected})
	if err != nil {
		cancel()
	}
	return w, answer, err
}

// openWriter opens ref, waiting for its lock.
func (e *env) openWriter(ref string, total int64, expected string) *writer {
	e.t.Helper()
	var opened *writer
	eventually(e.t, 10e9, "ref "+ref+" is free", func() bool {
		w, _, err := e.tryOpen(ref, total, expected)
		if err != nil && status.Code(err) != codes.Unavailable {
			e.t.Fatal(err)
		}
		opened = w
		return err == nil
	})
	return opened
}

// stat asks for the state.
func (w *writer) stat() *contentapi.WriteContentResponse {
	w.e.t.Helper()
	answer, err := w.send(&contentapi.WriteContentRequest{})
	ok(w.e.t, err)
	return answer
}

// write appends data at offset.
func (w *writer) write(data string, offset int64) (*contentapi.WriteContentResponse, error) {
	return w.send(&contentapi.WriteContentRequest{Action: contentapi.WriteAction_WRITE, Data: []byte(data), Offset: offset})
}

func (w *writer) mustWrite(data string, offset int64) *contentapi.WriteContentResponse {
	w.e.t.Helper()
	answer, err := w.write(data, offset)
	ok(w.e.t, err)
	return answer
}

// tryCommit sends COMMIT with data at offset.
func (w *writer) tryCommit(data string, offset, total int64, expected string,
	labels map[string]string) (*contentapi.WriteContentResponse, error) {
	return w.send(&contentapi.WriteContentRequest{Action: contentapi.WriteAction_COMMIT, Data: []byte(data),
		Offset: offset, Total: total, Expected: expected, Labels: labels})
}

// commit commits data as the whole of an empty ingest and waits for the stream's end.
func (w *writer) commit(data, expected string, labels map[string]string) {
	w.e.t.Helper()
	_, err := w.tryCommit(data, 0, int64(len(data)), expected, labels)
	if status.Code(err) != codes.AlreadyExists {
		ok(w.e.t, err)
	}
	w.close()
}

// close half-closes and reads to the end, so that the ref is free afterwards.
func (w *writer) close() {
	_ = w.stream.CloseSend()
	for {
		if _, err := w.stream.Recv(); err != nil {
			break
		}
	}
	w.cancel()
}

// status asks Status for ref.
func (e *env) status(ref string) (*contentapi.Status, error) {
	answer, err := e.content().Status(e.ctx, &contentapi.StatusRequest{Ref: ref})
	if err != nil {
		return nil, err
	}
	return answer.Status, nil
}
