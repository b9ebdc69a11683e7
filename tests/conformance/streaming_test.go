// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"fmt"
	"testing"
	"time"

	streamingapi "github.com/containerd/containerd/api/services/streaming/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"
)

// ownEnv is an environment on a daemon of the test's own. Upstream closes a stream that is registered while a collection
// marks, and the shared daemon collects all the time.
func ownEnv(t *testing.T) *env {
	t.Helper()
	t.Parallel()
	return startDaemon(t, daemonOptions{name: "own", config: schedulerConfig("startup_delay = '0s'")}).env(t)
}

// openStream sends one message and waits for the answer.
func (e *env) openStream(first *anypb.Any) (streamingapi.Streaming_StreamClient, context.CancelFunc, *anypb.Any, error) {
	e.t.Helper()
	ctx, cancel := context.WithCancel(e.ctx)
	e.t.Cleanup(cancel)
	stream, err := e.streaming().Stream(ctx)
	ok(e.t, err)
	ok(e.t, stream.Send(first))
	answer, err := stream.Recv()
	return stream, cancel, answer, err
}

func TestL167_StreamHandshake(t *testing.T) {
	e := ownEnv(t)
	_, cancel, ack, err := e.openStream(streamInit("one"))
	ok(t, err)
	equal(t, "acknowledgement", ack.TypeUrl, "google.protobuf.Empty")
	equal(t, "its body", len(ack.Value), 0)
	if _, _, _, err := e.openStream(streamInit("one")); err == nil {
		t.Error("a duplicate id was accepted")
	}
	_, _, _, err = e.sub().openStream(streamInit("one"))
	ok(t, err)
	cancel()
}

func TestL167_StreamIDIsFreed(t *testing.T) {
	gantryOnly(t, "the id of a stream whose client left stays taken")
	e := ownEnv(t)
	_, cancel, _, err := e.openStream(streamInit("one"))
	ok(t, err)
	cancel()
	eventually(t, 5*time.Second, "the id is free", func() bool {
		_, cancel, _, err := e.openStream(streamInit("one"))
		cancel()
		return err == nil
	})
}

func TestL167_StreamErrors(t *testing.T) {
	gantryOnly(t, "errors of Stream are not mapped")
	e := ownEnv(t)
	_, _, _, err := e.openStream(streamInit("one"))
	ok(t, err)
	_, _, _, err = e.openStream(streamInit("one"))
	wantCode(t, err, codes.AlreadyExists)
	for _, first := range []*anypb.Any{anyOf("google.protobuf.Empty", ""), anyOf("", ""),
		anyOf("containerd.services.streaming.v1.StreamInit", "\xff\xff")} {
		_, _, _, err = e.openStream(first)
		wantCode(t, err, codes.InvalidArgument)
	}
}

func TestL167_StreamWrongFirstMessage(t *testing.T) {
	e := ownEnv(t)
	if _, _, _, err := e.openStream(anyOf("google.protobuf.Empty", "")); err == nil {
		t.Error("a stream without StreamInit was accepted")
	}
}

// TestL168_StreamVisibleAtAck uses the one thing that any daemon tells about its streams: a second one of the same id is
// refused. It must be so as soon as the acknowledgement is there.
func TestL168_StreamVisibleAtAck(t *testing.T) {
	e := ownEnv(t)
	for i := range 50 {
		id := fmt.Sprintf("id%d", i)
		_, cancel, _, err := e.openStream(streamInit(id))
		ok(t, err)
		if _, _, _, err := e.openStream(streamInit(id)); err == nil {
			t.Fatal("the stream was not registered when it was acknowledged")
		}
		cancel()
	}
}

func TestL169_StreamEndsWithLease(t *testing.T) {
	e := ownEnv(t)
	lease := e.lease("", nil)
	leased, _, _, err := e.leased(lease).openStream(streamInit("leased"))
	ok(t, err)
	free, cancel, _, err := e.openStream(streamInit("free"))
	ok(t, err)
	ended, freeEnded := make(chan error, 1), make(chan error, 1)
	go func() { _, err := leased.Recv(); ended <- err }()
	go func() { _, err := free.Recv(); freeEnded <- err }()
	e.gc()
	select {
	case err := <-ended:
		t.Fatalf("the stream ended before its lease: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	e.deleteLease(lease, true)
	select {
	case <-ended:
	case <-time.After(scaled(5 * time.Second)):
		t.Error("the stream outlives its lease")
	}
	select {
	case err := <-freeEnded:
		t.Errorf("the unleased stream ended: %v", err)
	default:
	}
	cancel()
}
