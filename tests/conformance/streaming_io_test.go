// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/streaming"
	"github.com/containerd/containerd/v2/core/streaming/proxy"
	transfer "github.com/containerd/containerd/v2/core/transfer/streaming"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/ttrpc"
)

// streamed is the IO of a process as CRI names it where a runtime's io_type is "streaming": each stream is taken from the
// shim's own socket, over a connection of its own.
type streamed struct {
	e        *env
	address  string // of the sandbox: ttrpc+unix://…
	id       string
	stdin    bool
	terminal bool
}

func (s *streamed) uri(name string) string { return s.address + "?streaming_id=" + s.id + "-" + name }

// Config, Cancel, Wait and Close make it a cio.IO; who reads waits for himself.
func (s *streamed) Config() cio.Config {
	config := cio.Config{Terminal: s.terminal, Stdout: s.uri("stdout")}
	if s.stdin {
		config.Stdin = s.uri("stdin")
	}
	if !s.terminal {
		config.Stderr = s.uri("stderr")
	}
	return config
}
func (s *streamed) Cancel()      {}
func (s *streamed) Wait()        {}
func (s *streamed) Close() error { return nil }

func (s *streamed) creator() cio.Creator {
	return func(string) (cio.IO, error) { return s, nil }
}

// tap is an open stream with its connection.
type tap struct {
	streaming.Stream
	client *ttrpc.Client
}

func (t *tap) Close() error { return errors.Join(t.Stream.Close(), t.client.Close()) }

func (s *streamed) open(name string) *tap {
	s.e.t.Helper()
	address, err := url.Parse(s.uri(name))
	ok(s.e.t, err)
	conn, err := net.Dial("unix", address.Path)
	ok(s.e.t, err)
	client := ttrpc.NewClient(conn)
	s.e.t.Cleanup(func() { _ = client.Close() })
	stream, err := proxy.NewStreamCreator(client).Create(s.e.ctx, address.Query().Get("streaming_id"))
	ok(s.e.t, err)
	return &tap{Stream: stream, client: client}
}

func (s *streamed) read(name string) io.ReadCloser {
	s.e.t.Helper()
	return transfer.ReadByteStream(s.e.ctx, s.open(name))
}

// write opens the input.
func (s *streamed) write() io.WriteCloser {
	s.e.t.Helper()
	return transfer.WriteByteStream(s.e.ctx, s.open("stdin"))
}

// all reads a stream to its end in the background.
func all(r io.Reader) <-chan string {
	text := make(chan string, 1)
	go func() {
		data, err := io.ReadAll(r)
		if err != nil {
			data = append(data, "!"+err.Error()...)
		}
		text <- string(data)
	}()
	return text
}

func wantText(t testing.TB, what string, text <-chan string, want string) {
	t.Helper()
	got := within(t, what, func() string { return <-text })
	if got != want {
		t.Errorf("%s: got %d bytes %.200q, want %d bytes %.200q", what, len(got), got, len(want), want)
	}
}

// streamPod is a sandbox whose shim serves streams, and its address.
func streamPod(t *testing.T) (*env, *pod, string) {
	t.Helper()
	ownShimOnly(t, "it serves no streams")
	gantryOnly(t, "containerd drops the address of a sandbox")
	e := newEnv(t)
	p := e.startPod("pod")
	return e, p, p.status(t).Address
}

// shim is the pid of the sandbox's shim.
func (p *pod) shim(t testing.TB) int {
	t.Helper()
	for pid, line := range p.e.daemon.shims() {
		if slices.Contains(strings.Fields(line), p.e.ns) {
			return pid
		}
	}
	t.Fatal("the sandbox has no shim")
	return 0
}

// settledFDs counts them when a container has come and gone, with the connection that its events went over.
func (p *pod) settledFDs(t testing.TB) int {
	t.Helper()
	p.member("first").finish()
	return p.shimFDs(t)
}

// shimFDs counts the descriptors of the sandbox's shim.
func (p *pod) shimFDs(t testing.TB) int {
	t.Helper()
	return len(names(t, fmt.Sprintf("/proc/%d/fd", p.shim(t))))
}

// options are those of a box in the pod's shim.
func (s *streamed) options(p *pod, args ...string) boxOptions {
	return boxOptions{id: s.id, args: args, io: s.creator(), runtime: ownShim(s.e.t),
		container: []containerd.NewContainerOpts{containerd.WithSandbox(p.id)}}
}

// lines are numbered, so that what is missing or doubled shows.
func lines(count int) string {
	var text strings.Builder
	for i := 1; i <= count; i++ {
		fmt.Fprintf(&text, "line %d\n", i)
	}
	return text.String()
}

func printLines(count int) []string {
	return []string{"sh", "-c", fmt.Sprintf("i=0; while [ $i -lt %d ]; do i=$((i+1)); echo line $i; done", count)}
}

func TestS109_StreamsOfATask(t *testing.T) {
	e, p, address := streamPod(t)
	before := p.settledFDs(t)
	s := &streamed{e: e, address: address, id: "streams", stdin: true}
	in := s.write()
	out, err := s.read("stdout"), s.read("stderr")
	gotOut, gotErr := all(out), all(err)
	b := e.run(s.options(p, "sh", "-c", "cat; echo to err >&2; exit 7"))
	state, failure := b.get("")
	ok(t, failure)
	equal(t, "stdin", state.Stdin, s.uri("stdin"))
	equal(t, "stdout", state.Stdout, s.uri("stdout"))
	equal(t, "stderr", state.Stderr, s.uri("stderr"))
	input := bytes.Repeat([]byte("0123456789abcdef"), 20000)
	_, failure = in.Write(input)
	ok(t, failure)
	ok(t, in.Close())
	ok(t, b.task.CloseIO(e.ctx, containerd.WithStdinCloser))
	wantText(t, "stdout", gotOut, string(input))
	wantText(t, "stderr", gotErr, "to err\n")
	equal(t, "exit", b.exit(), 7)
	equal(t, "deleted", b.delete(), 7)
	_, _ = out.Close(), err.Close()
	eventually(t, 5*time.Second, "the shim has no more descriptors than before", func() bool {
		return p.shimFDs(t) <= before
	})
}

// TestS109_S094_OutputOfAShortLife: it arrives completely, and ends.
func TestS109_S094_OutputOfAShortLife(t *testing.T) {
	e, p, address := streamPod(t)
	for i := range 5 {
		s := &streamed{e: e, address: address, id: "short" + strconv.Itoa(i)}
		out, err := all(s.read("stdout")), all(s.read("stderr"))
		b := e.run(s.options(p, "sh", "-c", "echo a; echo b; echo c >&2"))
		equal(t, "exit", b.exit(), 0)
		wantText(t, "stdout", out, "a\nb\n")
		wantText(t, "stderr", err, "c\n")
		b.delete()
	}
}

func TestS109_SlowReaderOfAStream(t *testing.T) {
	e, p, address := streamPod(t)
	s := &streamed{e: e, address: address, id: "slow"}
	out := s.read("stdout")
	all(s.read("stderr"))
	b := e.run(s.options(p, printLines(30000)...))
	want := lines(30000)
	var got bytes.Buffer
	piece := make([]byte, 8192)
	for got.Len() < 40000 {
		n, err := out.Read(piece)
		ok(t, err)
		got.Write(piece[:n])
		time.Sleep(20 * time.Millisecond)
	}
	select {
	case <-b.exits:
		t.Error("the process ended before it was read")
	case <-time.After(100 * time.Millisecond):
	}
	rest := within(t, "the rest", func() string { return <-all(out) })
	equal(t, "output is complete", got.String()+rest == want, true)
	equal(t, "exit", b.exit(), 0)
	b.delete()
}

// TestS109_AReaderComesBack: with the same id, as after a restart of its daemon. Nothing is lost; what it gave no credit for
// may come again, but no more than two windows.
func TestS109_AReaderComesBack(t *testing.T) {
	e, p, address := streamPod(t)
	s := &streamed{e: e, address: address, id: "back"}
	want := lines(60000)
	first := s.read("stdout")
	all(s.read("stderr"))
	b := e.run(s.options(p, printLines(60000)...))
	piece := make([]byte, 100000)
	n, err := io.ReadFull(first, piece)
	ok(t, err)
	equal(t, "beginning", string(piece[:n]), want[:n])
	ok(t, first.Close())
	rest := within(t, "the rest", func() string { return <-all(s.read("stdout")) })
	if !strings.HasSuffix(want, rest) || n+len(rest) < len(want) || n+len(rest) > len(want)+128<<10 {
		t.Errorf("after %d of %d bytes come %d: %.100q", n, len(want), len(rest), rest)
	}
	equal(t, "exit", b.exit(), 0)
	b.delete()
}

// TestS109_ARestartOfTheDaemon: the streams are the shim's, and a task keeps its strings.
func TestS109_ARestartOfTheDaemon(t *testing.T) {
	ownShimOnly(t, "it serves no streams")
	gantryOnly(t, "containerd drops the address of a sandbox")
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "streams"})
	e := d.env(t)
	p := e.startPod("pod")
	s := &streamed{e: e, address: p.status(t).Address, id: "restart", stdin: true}
	in, out := s.write(), s.read("stdout")
	all(s.read("stderr"))
	b := e.run(s.options(p, "sh", "-c", "while read line; do echo got $line; done"))
	say := func(in io.Writer, out io.Reader, word string) {
		t.Helper()
		_, err := io.WriteString(in, word+"\n")
		ok(t, err)
		want := "got " + word + "\n"
		got := make([]byte, len(want))
		_, err = io.ReadFull(out, got)
		ok(t, err)
		equal(t, "answer", string(got), want)
	}
	say(in, out, "one")
	d.kill()
	say(in, out, "two")
	d.restart(t)
	state, err := b.get("")
	ok(t, err)
	equal(t, "stdout", state.Stdout, s.uri("stdout"))
	time.Sleep(2500 * time.Millisecond) // what a reader has had for a while does not come again
	in, out = s.write(), s.read("stdout")
	say(in, out, "three")
	b.exits, err = b.task.Wait(e.ctx)
	ok(t, err)
	ok(t, in.Close())
	wantText(t, "stdout", all(out), "")
	equal(t, "exit", b.exit(), 0)
	b.delete()
	ok(t, p.shutdown())
}

func TestS109_S095_NoReaderOfAStream(t *testing.T) {
	e, p, address := streamPod(t)
	s := &streamed{e: e, address: address, id: "unread"}
	out := all(s.read("stdout")) // and nobody at stderr
	o := s.options(p, "true")
	b := e.newContainer(o)
	began := time.Now()
	err := b.tryCreate(o)
	if err == nil || !strings.Contains(err.Error(), "unread-stderr") {
		t.Errorf("create without a reader: %v", err)
	}
	if took := time.Since(began); took < 29*time.Second {
		t.Errorf("given up after %v", took)
	}
	wantText(t, "stdout", out, "")
	b.wantNoTask()
}

func TestS109_StreamsOfAnExec(t *testing.T) {
	e, p, address := streamPod(t)
	b := p.member("member")
	s := &streamed{e: e, address: address, id: "exec", stdin: true}
	in := s.write()
	out, err := all(s.read("stdout")), all(s.read("stderr"))
	process, exits := b.exec("exec", s.creator(), "sh", "-c", "read x; echo got $x; echo err >&2; exit 3")
	_, failure := io.WriteString(in, "it\nmore\n")
	ok(t, failure)
	equal(t, "exit", waitExit(t, exits), 3)
	wantText(t, "stdout", out, "got it\n")
	wantText(t, "stderr", err, "err\n")
	// Input for a process that has gone neither fails nor hangs.
	within(t, "a write", func() int {
		n, _ := in.Write(make([]byte, 300000))
		return n
	})
	_, failure = process.Delete(e.ctx)
	ok(t, failure)

	terminal := &streamed{e: e, address: address, id: "tty", stdin: true, terminal: true}
	in = terminal.write()
	out = all(terminal.read("stdout"))
	spec := processSpec(true, "sh", "-c", "stty -echo; read x; echo got $x; tty")
	process, failure = b.task.Exec(e.ctx, "tty", spec, terminal.creator())
	ok(t, failure)
	exits, failure = process.Wait(e.ctx)
	ok(t, failure)
	ok(t, process.Start(e.ctx))
	time.Sleep(200 * time.Millisecond)
	_, failure = io.WriteString(in, "it\n")
	ok(t, failure)
	equal(t, "exit", waitExit(t, exits), 0)
	got := within(t, "the terminal's output", func() string { return <-out })
	if !strings.Contains(got, "got it\r\n/dev/pts/") {
		t.Errorf("terminal: %q", got)
	}
	_, failure = process.Delete(e.ctx)
	ok(t, failure)
	b.finish()
}

// TestS109_StreamsOfNobody: clients that open streams of no process, and leave, cost nothing.
func TestS109_StreamsOfNobody(t *testing.T) {
	e, p, address := streamPod(t)
	before := p.shimFDs(t)
	var taps []*tap
	for i := range 100 {
		s := &streamed{e: e, address: address, id: "nobody" + strconv.Itoa(i)}
		taps = append(taps, s.open("stdout"))
	}
	equal(t, "each has its connection", p.shimFDs(t) >= before+100, true)
	for _, tap := range taps {
		_ = tap.Close()
	}
	eventually(t, 5*time.Second, "they are gone", func() bool { return p.shimFDs(t) <= before })
	// A stream begins with its id.
	conn, err := net.Dial("unix", strings.TrimPrefix(address, "ttrpc+unix://"))
	ok(t, err)
	client := ttrpc.NewClient(conn)
	defer client.Close()
	if _, err := proxy.NewStreamCreator(client).Create(e.ctx, ""); err == nil {
		t.Error("a stream without an id was opened")
	}
}

func TestS106_S109_UnknownSchemesOfStreams(t *testing.T) {
	e, p, address := streamPod(t)
	before := p.settledFDs(t)
	for _, scheme := range []string{"grpc+unix", "grpc+vsock", "ttrpc+vsock", "ttrpc+hvsock"} {
		s := &streamed{e: e, address: scheme + strings.TrimPrefix(address, "ttrpc+unix"), id: strings.ReplaceAll(scheme, "+", "-")}
		o := s.options(p, "true")
		b := e.newContainer(o)
		if err := b.tryCreate(o); err == nil || !strings.Contains(err.Error(), "unknown STDIO scheme "+scheme) {
			t.Errorf("%s: %v", scheme, err)
		}
		b.wantNoTask()
	}
	b := p.member("member")
	s := &streamed{e: e, address: address, id: "nameless"}
	config := s.Config()
	config.Stdout = address // without an id
	nameless := func(string) (cio.IO, error) { return &fixedIO{config}, nil }
	process, err := b.task.Exec(e.ctx, "nameless", processSpec(false, "true"), nameless)
	ok(t, err)
	if err := process.Start(e.ctx); err == nil || !strings.Contains(err.Error(), "streaming_id") {
		t.Errorf("a stream without an id: %v", err)
	}
	_, err = process.Delete(e.ctx)
	ok(t, err)
	b.finish()
	eventually(t, 5*time.Second, "nothing is left", func() bool {
		return p.shimFDs(t) <= before
	})
}

// fixedIO is an IO of given strings that nobody serves.
type fixedIO struct{ config cio.Config }

func (f *fixedIO) Config() cio.Config { return f.config }
func (f *fixedIO) Cancel()            {}
func (f *fixedIO) Wait()              {}
func (f *fixedIO) Close() error       { return nil }
