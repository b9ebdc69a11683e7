// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
)

func TestS127_OneIDInTwoNamespaces(t *testing.T) {
	e := newEnv(t)
	other := e.sub()
	mine := e.run(boxOptions{id: "same", args: []string{"sleep", "1000"}, io: cio.NullIO})
	theirs := other.run(boxOptions{id: "same", args: sh("exit 4"), io: cio.NullIO})
	equal(t, "exit status", theirs.exit(), 4)
	theirs.delete()
	equal(t, "the other one lives", alive(int(mine.task.Pid())), true)
	mine.finish()
}

// TestS093_S096_Reader stops reading a container's output for a while, and reopens the fifo.
func TestS093_S096_Reader(t *testing.T) {
	e := newEnv(t)
	fifo := filepath.Join(t.TempDir(), "out")
	ok(t, syscall.Mkfifo(fifo, 0o600))
	open := func() *os.File {
		f, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		ok(t, err)
		return f
	}
	first := open()
	b := e.create(boxOptions{args: sh("i=0; while [ $i -lt 30000 ]; do echo line $i; i=$((i+1)); done"),
		io: func(string) (cio.IO, error) {
			return cio.Load(cio.NewFIFOSet(cio.Config{Stdout: fifo, Stderr: "/dev/null"}, nil))
		}})
	ok(t, b.task.Start(e.ctx))
	buffer := make([]byte, 5000)
	var got strings.Builder
	read := func(f *os.File) error {
		ok(t, f.SetReadDeadline(time.Now().Add(scaled(10*time.Second))))
		n, err := f.Read(buffer)
		got.Write(buffer[:n])
		return err
	}
	ok(t, read(first))
	time.Sleep(50 * time.Millisecond) // Nobody reads: the container blocks, and loses nothing.
	second := open()
	ok(t, first.Close())
	for {
		err := read(second)
		if err == io.EOF {
			break
		}
		ok(t, err)
	}
	ok(t, second.Close())
	equal(t, "exit status", b.exit(), 0)
	lines := strings.Split(strings.TrimSpace(got.String()), "\n")
	equal(t, "lines", len(lines), 30000)
	equal(t, "last line", lines[len(lines)-1], "line 29999")
}

func TestS129_S131_Checkpoint(t *testing.T) {
	if _, err := exec.LookPath("criu"); err != nil {
		t.Skip("no criu here")
	}
	if out, err := exec.Command("criu", "check").CombinedOutput(); err != nil {
		t.Skipf("criu does not work here: %s", out)
	}
	e := newEnv(t).held()
	b := e.sleeper()
	image, err := b.task.Checkpoint(e.ctx, containerd.WithCheckpointName("point"))
	ok(t, err)
	equal(t, "name", image.Name(), "point")
	equal(t, "index", e.hasBlob(image.Target().Digest.String()), true)
	b.finish()
}

// TestTTRPCAddressForShims: a shim finds the daemon's event service through its environment.
func TestTTRPCAddressForShims(t *testing.T) {
	e := newEnv(t)
	b := e.sleeper()
	shims := shimsOf(e.daemon, b.id)
	equal(t, "shims", len(shims), 1)
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", shims[0]))
	ok(t, err)
	if !strings.Contains(string(environment), "TTRPC_ADDRESS="+e.socket+".ttrpc") {
		t.Errorf("environment %q", strings.ReplaceAll(string(environment), "\x00", " "))
	}
	line := processes(e.socket)[shims[0]]
	for _, want := range []string{"-namespace " + e.ns, "-id " + b.id, "-address " + e.socket} {
		if !strings.Contains(line, want) {
			t.Errorf("command line %q lacks %q", line, want)
		}
	}
}
