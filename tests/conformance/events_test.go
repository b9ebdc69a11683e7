// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	eventtypes "github.com/containerd/containerd/api/events"
	eventsapi "github.com/containerd/containerd/api/services/events/v1"
	namespacesapi "github.com/containerd/containerd/api/services/namespaces/v1"
	ttrpcapi "github.com/containerd/containerd/api/services/ttrpc/events/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/ttrpc"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func (e *env) publish(topic string, event *anypb.Any) error {
	_, err := e.events().Publish(e.ctx, &eventsapi.PublishRequest{Topic: topic, Event: event})
	return err
}

// packEvent is an event with a bare type URL.
func packEvent(t testing.TB, message proto.Message) *anypb.Any {
	t.Helper()
	value, err := proto.Marshal(message)
	ok(t, err)
	return &anypb.Any{TypeUrl: string(message.ProtoReflect().Descriptor().FullName()), Value: value}
}

func TestL153_Topics(t *testing.T) {
	e := newEnv(t)
	for _, bad := range []string{"", "x", "/", "//a", "/a b", "/a/", "/a//b", "/-a", "/a/b..c"} {
		wantCode(t, e.publish(bad, anyOf("a.B", "")), codes.InvalidArgument)
	}
	events := e.subscribe()
	for _, good := range []string{"/a", "/a/b-c", "/a/b/c_d.e"} {
		ok(t, e.publish(good, anyOf("a.B", "value")))
		envelope := events.want(t, good, e.ns)
		equal(t, "type", envelope.Event.TypeUrl, "a.B")
		equal(t, "value", string(envelope.Event.Value), "value")
		if time.Since(envelope.Timestamp.AsTime()).Abs() > time.Minute {
			t.Errorf("time %v", envelope.Timestamp.AsTime())
		}
	}
}

func TestL154_S113_Forward(t *testing.T) {
	e := newEnv(t)
	at := timestamppb.New(time.Unix(1_000_000, 42))
	forward := func(spoil func(e *types.Envelope)) error {
		envelope := &types.Envelope{Timestamp: at, Namespace: e.ns, Topic: "/made/up", Event: anyOf("made.Up", "\xff")}
		spoil(envelope)
		_, err := e.events().Forward(context.Background(), &eventsapi.ForwardRequest{Envelope: envelope})
		return err
	}
	wantCode(t, forward(func(v *types.Envelope) { v.Namespace = "" }), codes.InvalidArgument)
	wantCode(t, forward(func(v *types.Envelope) { v.Namespace = "a..b" }), codes.InvalidArgument)
	wantCode(t, forward(func(v *types.Envelope) { v.Topic = "x" }), codes.InvalidArgument)
	// Go's zero time is year 1; an absent timestamp is 1970.
	wantCode(t, forward(func(v *types.Envelope) { v.Timestamp = timestamppb.New(time.Time{}) }), codes.InvalidArgument)
	events := e.subscribe()
	ok(t, forward(func(*types.Envelope) {}))
	envelope := events.want(t, "/made/up", e.ns)
	equal(t, "time", envelope.Timestamp.AsTime(), at.AsTime())
	equal(t, "type", envelope.Event.TypeUrl, "made.Up")
	equal(t, "value", string(envelope.Event.Value), "\xff")
}

func TestL154_ForwardWithoutTimestamp(t *testing.T) {
	gantryOnly(t, "an absent timestamp counts as 1970")
	e := newEnv(t)
	_, err := e.events().Forward(context.Background(), &eventsapi.ForwardRequest{Envelope: &types.Envelope{
		Namespace: e.ns, Topic: "/a/b", Event: anyOf("a.B", "")}})
	wantCode(t, err, codes.InvalidArgument)
}

func TestL155_ForwardOverTTRPC(t *testing.T) {
	e := newEnv(t)
	events := e.subscribe()
	conn, err := net.Dial("unix", e.socket+".ttrpc")
	ok(t, err)
	client := ttrpc.NewClient(conn)
	defer client.Close()
	service := ttrpcapi.NewTTRPCEventsClient(client)
	at := timestamppb.New(time.Unix(2_000_000, 7))
	envelope := &types.Envelope{Timestamp: at, Namespace: e.ns, Topic: "/over/ttrpc", Event: anyOf("made.Up", "v")}
	_, err = service.Forward(e.ctx, &ttrpcapi.ForwardRequest{Envelope: envelope})
	ok(t, err)
	got := events.want(t, "/over/ttrpc", e.ns)
	equal(t, "time", got.Timestamp.AsTime(), at.AsTime())
	envelope.Topic = "bad"
	_, err = service.Forward(e.ctx, &ttrpcapi.ForwardRequest{Envelope: envelope})
	wantCode(t, err, codes.InvalidArgument)
}

// dialAs connects with these effective ids, which are what the kernel tells the other end.
func dialAs(t testing.TB, socket string, uid, gid int) *os.File {
	t.Helper()
	type result struct {
		file *os.File
		err  error
	}
	results := make(chan result, 1)
	go func() {
		runtime.LockOSThread()       // and never unlocked: the thread ends with its ids
		const noSetuidFixup = 1 << 2 // the capabilities stay, so that no file's mode matters
		err := unix.Prctl(unix.PR_SET_SECUREBITS, noSetuidFixup, 0, 0, 0)
		for call, id := range map[uintptr]int{unix.SYS_SETRESUID: uid, unix.SYS_SETRESGID: gid} {
			if _, _, failed := unix.RawSyscall(call, ^uintptr(0), uintptr(id), ^uintptr(0)); failed != 0 {
				err = failed
			}
		}
		fd := -1
		if err == nil {
			fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		}
		if err == nil {
			err = unix.Connect(fd, &unix.SockaddrUnix{Name: socket})
		}
		results <- result{os.NewFile(uintptr(fd), socket), err}
	}()
	got := <-results
	ok(t, got.err)
	t.Cleanup(func() { got.file.Close() })
	return got.file
}

// TestS031_OtherUsersAreHungUpOn: the ttrpc socket is for shims, which are of the daemon's own user and group.
func TestS031_OtherUsersAreHungUpOn(t *testing.T) {
	e := newEnv(t)
	for name, ids := range map[string][2]int{"user": {1234, os.Getegid()}, "group": {os.Geteuid(), 1234}} {
		conn := dialAs(t, e.socket+".ttrpc", ids[0], ids[1])
		read := within(t, "the end of a connection of another "+name, func() error {
			_, err := conn.Read(make([]byte, 1))
			return err
		})
		if !errors.Is(read, io.EOF) && !errors.Is(read, syscall.ECONNRESET) {
			t.Errorf("another %s: %v", name, read)
		}
	}
}

func TestL156_SubscribeAcrossNamespaces(t *testing.T) {
	e := newEnv(t)
	other := e.sub()
	all := e.subscribeRaw(fmt.Sprintf("topic==%q", "/across/"+e.ns))
	mine := e.subscribe(`topic~="^/across"`)
	ok(t, other.publish("/across/"+e.ns, anyOf("a.B", "1")))
	ok(t, e.publish("/across/"+e.ns, anyOf("a.B", "2")))
	all.want(t, "/across/"+e.ns, other.ns)
	all.want(t, "/across/"+e.ns, e.ns)
	equal(t, "event", string(mine.want(t, "/across/"+e.ns, e.ns).Event.Value), "2")
}

func TestL025_EventFilters(t *testing.T) {
	e := newEnv(t)
	byID := e.subscribe(`event.container_id==wanted`)
	byTopic := e.subscribe(`topic~="^/tasks/"`)
	byImage := e.subscribe(`event.name==wanted`)
	ok(t, e.publish("/other/start", packEvent(t, &eventtypes.TaskStart{ContainerID: "other", Pid: 1})))
	ok(t, e.publish("/tasks/start", packEvent(t, &eventtypes.TaskStart{ContainerID: "other", Pid: 2})))
	ok(t, e.publish("/other/start", packEvent(t, &eventtypes.TaskStart{ContainerID: "wanted", Pid: 3})))
	ok(t, e.publish("/other/unknown", anyOf("un.Known", "\x0a\x06wanted")))
	ok(t, e.publish("/tasks/exit", packEvent(t, &eventtypes.TaskExit{ContainerID: "wanted", Pid: 4})))
	ok(t, e.publish("/images/create", packEvent(t, &eventtypes.ImageCreate{Name: "wanted"})))
	equal(t, "pid", decode[*eventtypes.TaskStart](byID.want(t, "/other/start", e.ns)).Pid, 3)
	equal(t, "pid", decode[*eventtypes.TaskExit](byID.want(t, "/tasks/exit", e.ns)).Pid, 4)
	equal(t, "pid", decode[*eventtypes.TaskStart](byTopic.want(t, "/tasks/start", e.ns)).Pid, 2)
	equal(t, "pid", decode[*eventtypes.TaskExit](byTopic.want(t, "/tasks/exit", e.ns)).Pid, 4)
	byImage.want(t, "/images/create", e.ns)
}

func TestL157_S114_OrderAndStalledSubscriber(t *testing.T) {
	e := newEnv(t)
	stalled, err := dial(e.socket, grpc.WithInitialWindowSize(65535))
	ok(t, err)
	defer stalled.Close()
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	// Subscribed and never read.
	_, err = eventsapi.NewEventsClient(stalled).Subscribe(ctx, &eventsapi.SubscribeRequest{Filters: []string{"namespace==" + e.ns}})
	ok(t, err)
	subscribers := []*subscriber{e.subscribe(), e.subscribe()}
	const events = 500
	payload := strings.Repeat("x", 1024)
	start := time.Now()
	for i := range events {
		ok(t, e.publish("/ordered/event", anyOf("a.B", fmt.Sprintf("%d %s", i, payload))))
	}
	for _, s := range subscribers {
		for i := range events {
			value := string(s.want(t, "/ordered/event", e.ns).Event.Value)
			if !strings.HasPrefix(value, fmt.Sprintf("%d ", i)) {
				t.Fatalf("event %d is %.10q", i, value)
			}
		}
	}
	if took := time.Since(start); took > scaled(20*time.Second) {
		t.Errorf("took %v", took)
	}
}

func TestL158_StalledSubscriberIsEnded(t *testing.T) {
	gantryOnly(t, "the queue of a subscriber is unbounded")
	e := newEnv(t)
	conn, err := dial(e.socket, grpc.WithInitialWindowSize(65535))
	ok(t, err)
	defer conn.Close()
	stream, err := eventsapi.NewEventsClient(conn).Subscribe(e.ctx, &eventsapi.SubscribeRequest{Filters: []string{"namespace==" + e.ns}})
	ok(t, err)
	_, err = stream.Header()
	ok(t, err)
	// Far more than any sane bound: 64 MiB.
	big := anyOf("a.B", strings.Repeat("x", 1<<20))
	for range 64 {
		ok(t, e.publish("/big/event", big))
	}
	for err == nil {
		_, err = stream.Recv()
	}
	wantCode(t, err, codes.ResourceExhausted)
}

func TestL159_HeadersMeanLive(t *testing.T) {
	gantryOnly(t, "headers come with the first event")
	e := newEnv(t)
	for i := range 50 {
		ctx, cancel := context.WithTimeout(e.ctx, scaled(10*time.Second))
		topic := fmt.Sprintf("/live/e%d", i)
		stream, err := e.events().Subscribe(ctx, &eventsapi.SubscribeRequest{Filters: []string{fmt.Sprintf("topic==%q", topic)}})
		ok(t, err)
		_, err = stream.Header()
		ok(t, err)
		ok(t, e.publish(topic, anyOf("a.B", "")))
		_, err = stream.Recv()
		ok(t, err)
		cancel()
	}
}

func TestL160_PublishCommand(t *testing.T) {
	e := newEnv(t)
	events := e.subscribe()
	body, err := proto.Marshal(packEvent(t, &eventtypes.TaskOOM{ContainerID: "c"}))
	ok(t, err)
	cmd := e.command("--address", e.socket, "publish", "--topic", "/tasks/oom", "--namespace", e.ns)
	cmd.Stdin = bytes.NewReader(body)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("publish: %v: %s", err, out)
	}
	equal(t, "container", decode[*eventtypes.TaskOOM](events.want(t, "/tasks/oom", e.ns)).ContainerID, "c")
}

func TestL161_CollectionEvents(t *testing.T) {
	e := newEnv(t)
	events := e.subscribe(`topic=="/images/delete"`, `topic=="/snapshot/remove"`)
	e.image("old", someDigest, map[string]string{labelExpire: expired()})
	lease := e.lease("", nil)
	e.leased(lease).prepare("key", "", nil)
	e.deleteLease(lease, true)
	got := []string{}
	for range 2 {
		envelope := events.next(t)
		equal(t, "namespace", envelope.Namespace, e.ns)
		got = append(got, envelope.Topic)
	}
	slices.Sort(got)
	equal(t, "events", strings.Join(got, " "), "/images/delete /snapshot/remove")
}

func TestL045_NamespaceEvents(t *testing.T) {
	e := newEnv(t)
	name := e.ns + "-made"
	events := e.subscribeRaw("namespace=="+name, "event.name=="+name)
	ok(t, e.createNamespace(name, map[string]string{"k": "v"}))
	_, err := e.namespaces().Update(e.ctx, &namespacesapi.UpdateNamespaceRequest{
		Namespace: &namespacesapi.Namespace{Name: name, Labels: map[string]string{"k": "w"}}})
	ok(t, err)
	ok(t, e.deleteNamespace(name))
	created := decode[*eventtypes.NamespaceCreate](events.want(t, "/namespaces/create", name))
	equal(t, "created", created.Name+created.Labels["k"], name+"v")
	updated := decode[*eventtypes.NamespaceUpdate](events.want(t, "/namespaces/update", name))
	equal(t, "updated", updated.Name+updated.Labels["k"], name+"w")
	equal(t, "deleted", decode[*eventtypes.NamespaceDelete](events.want(t, "/namespaces/delete", name)).Name, name)
}

func TestSubscriptionEndsWithDaemon(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "end"})
	events := d.env(t).subscribe()
	d.stop(t)
	select {
	case err := <-events.failed:
		wantCode(t, err, codes.Unavailable)
	case <-time.After(scaled(10 * time.Second)):
		t.Error("the subscription outlives the daemon")
	}
}
