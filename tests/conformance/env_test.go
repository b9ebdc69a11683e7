// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	contentapi "github.com/containerd/containerd/api/services/content/v1"
	diffapi "github.com/containerd/containerd/api/services/diff/v1"
	eventsapi "github.com/containerd/containerd/api/services/events/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	introspectionapi "github.com/containerd/containerd/api/services/introspection/v1"
	leasesapi "github.com/containerd/containerd/api/services/leases/v1"
	mountsapi "github.com/containerd/containerd/api/services/mounts/v1"
	namespacesapi "github.com/containerd/containerd/api/services/namespaces/v1"
	sandboxapi "github.com/containerd/containerd/api/services/sandbox/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	streamingapi "github.com/containerd/containerd/api/services/streaming/v1"
	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
)

// quickReconnect lets a connection follow a daemon's restart within milliseconds.
var quickReconnect = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 10 * time.Millisecond, Multiplier: 1.2, MaxDelay: 100 * time.Millisecond},
	MinConnectTimeout: 5 * time.Second,
}

// env is what one test works with: a daemon, a namespace nobody else uses, and a context that carries it.
type env struct {
	*daemon
	t   testing.TB
	ns  string
	ctx context.Context
}

var (
	envSeq     atomic.Int64
	testPrefix = regexp.MustCompile(`^Test([LSC]\d+|[A-Za-z]+)`)
)

// newEnv gives a parallel test an environment on the shared daemon.
func newEnv(t *testing.T) *env {
	t.Helper()
	t.Parallel()
	return common.env(t)
}

// env makes a namespace of the test's own on d. The context ends with the test, or after a minute.
func (d *daemon) env(t testing.TB) *env {
	t.Helper()
	name := "t"
	if m := testPrefix.FindStringSubmatch(t.Name()); m != nil {
		name = strings.ToLower(m[1])
	}
	e := &env{daemon: d, t: t, ns: fmt.Sprintf("%s-%d", name, envSeq.Add(1))}
	ctx, cancel := context.WithTimeout(namespaces.WithNamespace(context.Background(), e.ns), scaled(time.Minute))
	t.Cleanup(cancel)
	e.ctx = ctx
	return e
}

// sub is the same daemon and test in another namespace.
func (e *env) sub() *env { return e.daemon.env(e.t) }

// held is e with a lease in its context, so that no collection takes what the test makes.
func (e *env) held() *env {
	e.t.Helper()
	return e.leased(e.lease("held", nil))
}

// with is e for a subtest.
func (e *env) with(t testing.TB) *env {
	copied := *e
	copied.t = t
	return &copied
}

// leased is e with a lease in its context.
func (e *env) leased(id string) *env {
	copied := *e
	copied.ctx = metadata.AppendToOutgoingContext(e.ctx, "containerd-lease", id)
	return &copied
}

func (e *env) containers() containersapi.ContainersClient {
	return containersapi.NewContainersClient(e.conn)
}
func (e *env) content() contentapi.ContentClient { return contentapi.NewContentClient(e.conn) }
func (e *env) images() imagesapi.ImagesClient    { return imagesapi.NewImagesClient(e.conn) }
func (e *env) snapshots() snapshotsapi.SnapshotsClient {
	return snapshotsapi.NewSnapshotsClient(e.conn)
}
func (e *env) leases() leasesapi.LeasesClient { return leasesapi.NewLeasesClient(e.conn) }
func (e *env) events() eventsapi.EventsClient { return eventsapi.NewEventsClient(e.conn) }
func (e *env) tasks() tasksapi.TasksClient    { return tasksapi.NewTasksClient(e.conn) }
func (e *env) diff() diffapi.DiffClient       { return diffapi.NewDiffClient(e.conn) }
func (e *env) mounts() mountsapi.MountsClient { return mountsapi.NewMountsClient(e.conn) }
func (e *env) streaming() streamingapi.StreamingClient {
	return streamingapi.NewStreamingClient(e.conn)
}
func (e *env) sandboxes() sandboxapi.StoreClient { return sandboxapi.NewStoreClient(e.conn) }
func (e *env) namespaces() namespacesapi.NamespacesClient {
	return namespacesapi.NewNamespacesClient(e.conn)
}
func (e *env) introspection() introspectionapi.IntrospectionClient {
	return introspectionapi.NewIntrospectionClient(e.conn)
}

// collect runs one garbage collection to its end: deleting a lease with sync awaits a full run.
func collect(ctx context.Context, conn *grpc.ClientConn) error {
	ctx = namespaces.WithNamespace(ctx, "collector")
	leases := leasesapi.NewLeasesClient(conn)
	lease, err := leases.Create(ctx, &leasesapi.CreateRequest{})
	if err != nil {
		return err
	}
	_, err = leases.Delete(ctx, &leasesapi.DeleteRequest{ID: lease.Lease.ID, Sync: true})
	return err
}

// gc runs one garbage collection to its end.
func (e *env) gc() {
	e.t.Helper()
	if err := collect(e.ctx, e.conn); err != nil {
		e.t.Fatalf("collect garbage: %v", err)
	}
}

// ok ends the test on an error.
func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// must returns the value of a call that may not fail.
func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// wantCode checks the status code of a raw call, and that its message holds every text.
func wantCode(t testing.TB, err error, code codes.Code, texts ...string) {
	t.Helper()
	if status.Code(err) != code {
		t.Errorf("got %v (%v), want %v", status.Code(err), err, code)
		return
	}
	for _, text := range texts {
		if !strings.Contains(status.Convert(err).Message(), text) {
			t.Errorf("message %q lacks %q", status.Convert(err).Message(), text)
		}
	}
}

// equal checks two comparable values.
func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// eventually polls until cond holds.
func eventually(t testing.TB, limit time.Duration, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(scaled(limit)); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// receiver is any server stream of messages.
type receiver[T any] interface{ Recv() (*T, error) }

// drain reads a stream to its end.
func drain[T any](stream receiver[T], err error) ([]*T, error) {
	if err != nil {
		return nil, err
	}
	var all []*T
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, message)
	}
}

func anyOf(url, value string) *anypb.Any { return &anypb.Any{TypeUrl: url, Value: []byte(value)} }

// labelOf makes a label whose key and value have n bytes together.
func labelOf(n int) map[string]string {
	const key = "conformance/long"
	return map[string]string{key: strings.Repeat("v", n-len(key))}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var all []string
	for _, entry := range entries {
		all = append(all, entry.Name())
	}
	return all
}

func (d *daemon) pluginDir(name string) string { return filepath.Join(d.root, name) }

// shortened is ctx with a nearer deadline.
func shortened(t testing.TB, ctx context.Context, limit time.Duration) context.Context {
	t.Helper()
	short, cancel := context.WithTimeout(ctx, scaled(limit))
	t.Cleanup(cancel)
	return short
}
