// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	shimapi "github.com/containerd/containerd/api/runtime/task/v3"
	taskapi "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/ttrpc"
)

// bareShim is the shim without a daemon: its command `start`, in a bundle that holds a spec and nothing else.
type bareShim struct {
	t            testing.TB
	program, dir string
	env          []string
}

func newBareShim(t testing.TB, env ...string) *bareShim {
	return &bareShim{t: t, program: ownShim(t), dir: t.TempDir(), env: env}
}

// bundle makes one for a container of the group.
func (s *bareShim) bundle(id, spec string) {
	s.t.Helper()
	ok(s.t, os.MkdirAll(filepath.Join(s.dir, id), 0o711))
	ok(s.t, os.WriteFile(filepath.Join(s.dir, id, "config.json"), []byte(spec), 0o644))
}

// start runs the command and returns where the server is and what the command has cost.
func (s *bareShim) start(id string) (address string, cpu time.Duration, err error) {
	cmd := exec.Command(s.program, "-namespace", "bare", "-id", id, "-address", filepath.Join(s.dir, "none.sock"), "start")
	cmd.Dir = filepath.Join(s.dir, id)
	cmd.Env = append(os.Environ(), s.env...)
	var said bytes.Buffer
	cmd.Stderr = &said
	output, err := cmd.Output()
	if err != nil {
		return "", 0, fmt.Errorf("start: %w: %s", err, said.String())
	}
	return string(output), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}

// connect gives a client of the server at an address, and the server's pid. The server is killed at the end of the test, should it be
// there still.
func (s *bareShim) connect(address string) (shimapi.TTRPCTaskService, *ttrpc.Client, int, error) {
	conn, err := net.Dial("unix", strings.TrimPrefix(address, "unix://"))
	if err != nil {
		return nil, nil, 0, err
	}
	client := ttrpc.NewClient(conn)
	tasks := shimapi.NewTTRPCTaskClient(client)
	ctx, cancel := context.WithTimeout(context.Background(), scaled(5*time.Second))
	defer cancel()
	answer, err := tasks.Connect(ctx, &shimapi.ConnectRequest{ID: "c"})
	if err != nil {
		client.Close()
		return nil, nil, 0, err
	}
	pid := int(answer.ShimPid)
	s.t.Cleanup(func() {
		client.Close()
		if line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); strings.Contains(string(line), s.dir) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return tasks, client, pid, nil
}

// mebibyteSpec is a spec of that size whose annotations, which alone are looked for, come last.
func mebibyteSpec() string {
	var text strings.Builder
	text.WriteString(`{"ociVersion":"1.1.0","process":{"args":["true"],"env":[`)
	for i := 0; text.Len() < 500<<10; i++ {
		fmt.Fprintf(&text, `"SOME_VARIABLE_%d=a \"quoted\" value of it",`, i)
	}
	text.WriteString(`"LAST=1"]},"linux":{"seccomp":{"syscalls":[`)
	for i := 0; text.Len() < 1<<20-100; i++ {
		fmt.Fprintf(&text, `{"names":["call%d","other%d"],"action":"SCMP_ACT_ALLOW","args":[{"index":%d,"value":%d}]},`, i, i, i%6, i)
	}
	text.WriteString(`{"names":["last"]}]}},"annotations":{"io.containerd.runc.v2.group":"g"}}`)
	return text.String()
}

// TestS045_LongSpec measures what a spec of a mebibyte adds to `start`, and takes a library's time for the same text as the measure:
// Go's needs 5 to 10 ms for what shall be done in 2.
func TestS045_LongSpec(t *testing.T) {
	ownShimOnly(t, "it reads the whole spec with that library")
	t.Parallel()
	s := newBareShim(t)
	if linksAnyOf(t, s.program, "libasan", "libtsan") {
		t.Skip("a sanitizer makes the program slow, and the library not")
	}
	long := mebibyteSpec()
	s.bundle("short", `{"ociVersion":"1.1.0","annotations":{"io.containerd.runc.v2.group":"g"}}`)
	s.bundle("long", long)
	address, _, err := s.start("short") // the others join its server
	ok(t, err)
	_, _, _, err = s.connect(address)
	ok(t, err)
	least := map[string]time.Duration{}
	note := func(what string, took time.Duration) {
		if before, known := least[what]; !known || took < before {
			least[what] = took
		}
	}
	for range 20 {
		for _, id := range []string{"short", "long"} {
			joined, cpu, err := s.start(id)
			ok(t, err)
			equal(t, "address", joined, address)
			note(id, cpu)
		}
		start := time.Now()
		equal(t, "the spec is one", json.Valid([]byte(long)), true)
		note("library", time.Since(start))
	}
	added := least["long"] - least["short"]
	t.Logf("start: %v; with a spec of %d bytes %v more; a library: %v", least["short"], len(long), added, least["library"])
	if added > least["library"] {
		t.Errorf("a long spec adds %v, a library would %v", added, least["library"])
	}
}

// TestS057_StartRacingShutdown: a group's last container is deleted, and its shim shut down, while the next one is created.
func TestS057_StartRacingShutdown(t *testing.T) {
	ownShimOnly(t, "its socket is there until it has ended")
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "race"})
	e := d.env(t)
	last := e.grouped("g")
	joined := 0
	for round := range 40 {
		shim := onlyShim(t, d)
		ended := make(chan error, 1)
		go func() { ended <- last.killed() }()
		time.Sleep(time.Duration(round) * 1500 * time.Microsecond)
		next := e.grouped("g")
		_, exits := next.exec("e", cio.NullIO, "sh", "-c", "exit 3")
		equal(t, "exec", waitExit(t, exits), 3)
		ok(t, <-ended)
		equal(t, "status", next.status(""), taskapi.Status_RUNNING)
		eventually(t, 5*time.Second, "there is one shim", func() bool { return len(d.shims()) == 1 })
		if onlyShim(t, d) == shim {
			joined++
		}
		last = next
	}
	t.Logf("%d of 40 joined the shim that was about to go", joined)
	last.finish()
	eventually(t, 5*time.Second, "the shim is gone", func() bool { return len(d.shims()) == 0 })
}

// TestS057_StartCommandRacingShutdown: the same, of the command alone, whose answer has to lead to a server that lives.
func TestS057_StartCommandRacingShutdown(t *testing.T) {
	ownShimOnly(t, "its socket is there until it has ended")
	t.Parallel()
	s := newBareShim(t)
	s.bundle("c", `{"annotations":{"io.containerd.runc.v2.group":"g"}}`)
	address, _, err := s.start("c")
	ok(t, err)
	fresh := 0
	for round := range 60 {
		tasks, client, pid, err := s.connect(address)
		ok(t, err)
		ended := make(chan error, 1)
		go func() {
			time.Sleep(time.Duration(round) * 100 * time.Microsecond)
			_, err := tasks.Shutdown(context.Background(), &shimapi.ShutdownRequest{ID: "c"})
			ended <- err
		}()
		again, _, err := s.start("c")
		ok(t, err)
		equal(t, "address", again, address)
		_, next, server, err := s.connect(again)
		if err != nil {
			t.Fatalf("round %d: no server where start said: %v", round, err)
		}
		<-ended // it may have ended with the connection
		client.Close()
		next.Close()
		if server != pid {
			fresh++
		}
		eventually(t, 5*time.Second, "the other server has ended", func() bool { return server == pid || !alive(pid) })
	}
	t.Logf("%d of 60 found the old server gone", fresh)
}

// TestS058_UnusedShimEnds: a server that has no containers, and that nobody is connected to, ends by itself.
func TestS058_UnusedShimEnds(t *testing.T) {
	ownShimOnly(t, "it stays for ever")
	t.Parallel()
	s := newBareShim(t, "GANTRY_SHIM_UNUSED_SECONDS=1")
	s.bundle("c", "{}")
	address, _, err := s.start("c")
	ok(t, err)
	_, client, pid, err := s.connect(address)
	ok(t, err)
	time.Sleep(2500 * time.Millisecond)
	equal(t, "it lives while somebody is connected", alive(pid), true)
	ok(t, client.Close())
	start := time.Now()
	eventually(t, 10*time.Second, "it has ended", func() bool { return !alive(pid) })
	if took := time.Since(start); took < 900*time.Millisecond {
		t.Errorf("it ended after %v", took)
	}
	equal(t, "its socket", exists(strings.TrimPrefix(address, "unix://")), false)
	// One that nobody has ever connected to.
	address, _, err = s.start("c")
	ok(t, err)
	eventually(t, 10*time.Second, "the second has ended", func() bool { return !exists(strings.TrimPrefix(address, "unix://")) })
}

// TestS058_UsedShimStays: a container is use enough, also while there is no daemon.
func TestS058_UsedShimStays(t *testing.T) {
	ownShimOnly(t, "it stays for ever")
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "used", env: []string{"GANTRY_SHIM_UNUSED_SECONDS=1"}})
	e := d.env(t)
	b := e.run(boxOptions{args: []string{"sleep", "1000"}, io: cio.NullIO, spec: []oci.SpecOpts{olderSpec}})
	shim := onlyShim(t, d)
	d.kill()
	time.Sleep(2500 * time.Millisecond)
	equal(t, "it lives", alive(shim), true)
	d.restart(t)
	var err error
	b.exits, err = b.task.Wait(e.ctx)
	ok(t, err)
	b.finish()
}
