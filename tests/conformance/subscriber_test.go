// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	eventsapi "github.com/containerd/containerd/api/services/events/v1"
	"github.com/containerd/containerd/api/types"
	"google.golang.org/protobuf/proto"
)

// subscriber collects the events of the env's namespace.
type subscriber struct {
	events chan *types.Envelope
	failed chan error
}

// subscribe starts a subscription to the events of e's namespace that match one of the filters, and returns once the
// daemon delivers to it.
func (e *env) subscribe(filters ...string) *subscriber {
	e.t.Helper()
	var scoped []string
	for _, filter := range append([]string{}, filters...) {
		scoped = append(scoped, "namespace=="+e.ns+","+filter)
	}
	if len(filters) == 0 {
		scoped = []string{"namespace==" + e.ns}
	}
	return e.subscribeRaw(scoped...)
}

// subscribeRaw is subscribe without the namespace filter. A probe event, published until it comes back, tells that the
// subscription is live: there is no other sign that both daemons give.
func (e *env) subscribeRaw(filters ...string) *subscriber {
	e.t.Helper()
	probe := fmt.Sprintf("/probe/p%d", envSeq.Add(1))
	if len(filters) > 0 {
		filters = append(filters, fmt.Sprintf("topic==%q", probe))
	}
	ctx, cancel := context.WithCancel(e.ctx)
	e.t.Cleanup(cancel)
	stream, err := e.events().Subscribe(ctx, &eventsapi.SubscribeRequest{Filters: filters})
	ok(e.t, err)
	s := &subscriber{events: make(chan *types.Envelope, 100000), failed: make(chan error, 1)}
	live := make(chan struct{})
	go s.receive(stream, probe, live)
	for {
		_, err := e.events().Publish(e.ctx, &eventsapi.PublishRequest{Topic: probe, Event: anyOf("conformance.Probe", "")})
		ok(e.t, err)
		select {
		case <-live:
			return s
		case err := <-s.failed:
			e.t.Fatalf("subscribe: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (s *subscriber) receive(stream eventsapi.Events_SubscribeClient, probe string, live chan struct{}) {
	seen := false
	for {
		envelope, err := stream.Recv()
		if err != nil {
			s.failed <- err
			return
		}
		// Probes of other subscriptions are nobody's business.
		if !strings.HasPrefix(envelope.Topic, "/probe/") {
			s.events <- envelope
		} else if envelope.Topic == probe && !seen {
			seen = true
			close(live)
		}
	}
}

// next waits for the next event.
func (s *subscriber) next(t testing.TB) *types.Envelope {
	t.Helper()
	select {
	case envelope := <-s.events:
		return envelope
	case err := <-s.failed:
		t.Fatalf("subscription ended: %v", err)
	case <-time.After(scaled(10 * time.Second)):
		t.Fatal("no event within 10 s")
	}
	return nil
}

// want waits for the next event and checks its topic and namespace.
func (s *subscriber) want(t testing.TB, topic, ns string) *types.Envelope {
	t.Helper()
	envelope := s.next(t)
	if envelope.Topic != topic || envelope.Namespace != ns {
		t.Fatalf("got event %s in %s, want %s in %s", envelope.Topic, envelope.Namespace, topic, ns)
	}
	return envelope
}

// none checks that no event comes for a while.
func (s *subscriber) none(t testing.TB, during time.Duration) {
	t.Helper()
	select {
	case envelope := <-s.events:
		t.Errorf("unexpected event %v", envelope)
	case <-time.After(during):
	}
}

// decode unpacks an event, and demands a bare type URL.
func decode[M proto.Message](envelope *types.Envelope) M {
	var empty M
	message := empty.ProtoReflect().New().Interface().(M)
	want := string(message.ProtoReflect().Descriptor().FullName())
	event := envelope.GetEvent()
	if event.GetTypeUrl() != want {
		panic(fmt.Sprintf("event of %s has type %q, want %q", envelope.GetTopic(), event.GetTypeUrl(), want))
	}
	if err := proto.Unmarshal(event.GetValue(), message); err != nil {
		panic(err)
	}
	return message
}
