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
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/opencontainers/runtime-spec/specs-go"
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

// TestS128_HangingRuntime: two containers share a shim, and the OCI runtime hangs in one of them.
func TestS128_HangingRuntime(t *testing.T) {
	t.Parallel()
	e := startDaemon(t, daemonOptions{name: "hang"}).env(t)
	options, started, gate := slowRunc(t, "exec")
	group := oci.WithAnnotations(map[string]string{"io.containerd.runc.v2.group": "g"})
	o := boxOptions{args: []string{"sleep", "1000"}, io: cio.NullIO, spec: []oci.SpecOpts{group}}
	good := e.run(o)
	o.options = options
	stuck := e.run(o)
	equal(t, "shims", len(e.shims()), 1)
	process, err := stuck.task.Exec(e.ctx, "e", processSpec(false, "true"), cio.NullIO)
	ok(t, err)
	ended := make(chan error, 1)
	go func() { ended <- process.Start(e.ctx) }()
	eventually(t, 10*time.Second, "the runtime hangs", func() bool { return exists(started) })
	start := time.Now()
	_, exits := good.exec("e", cio.NullIO, "sh", "-c", "exit 3")
	equal(t, "exec beside it", waitExit(t, exits), 3)
	good.finish()
	if took := time.Since(start); took > scaled(10*time.Second) {
		t.Errorf("took %v", took)
	}
	ok(t, os.Remove(gate))
	ok(t, <-ended)
}

// TestS133_MountList gives a task a list of mounts of which the second goes to a folder of the first.
func TestS133_MountList(t *testing.T) {
	e := newEnv(t)
	rootfs := append(e.overlayRoot(), mount.Mount{Type: "bind", Source: folderWith(t, "given"), Target: "/data",
		Options: []string{"rbind", "ro"}})
	upper := strings.TrimPrefix(rootfs[0].Options[1], "upperdir=")
	ok(t, os.Mkdir(filepath.Join(upper, "data"), 0o755))
	b := e.run(boxOptions{args: sh("ls /data; touch /data/x || echo read-only"), rootfs: rootfs})
	b.exit()
	b.drain()
	equal(t, "output", b.out.String(), "given\nread-only\n")
	b.delete()
	equal(t, "bundle", exists(b.bundle()), false)

	o := boxOptions{args: []string{"true"}, io: cio.NullIO,
		rootfs: append(e.overlayRoot(), mount.Mount{Type: "bind", Source: "/no/such/folder", Options: []string{"rbind"}})}
	bad := e.newContainer(o)
	if bad.tryCreate(o) == nil {
		t.Error("a mount that cannot be done was ignored")
	}
	equal(t, "bundle", exists(bad.bundle()), false)
	equal(t, "mounts", len(mountsBelow(bad.bundle())), 0)
}

// TestS136_IDMappedMounts: a runtime that says nothing about idmapped mounts, or says no, is not given any.
func TestS136_IDMappedMounts(t *testing.T) {
	features, err := exec.Command("runc", "features").Output()
	if err != nil || strings.Contains(string(features), "mountExtensions") {
		t.Skip("this runc knows idmapped mounts, or no features")
	}
	e := newEnv(t)
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 10}}
	o := boxOptions{args: []string{"true"}, io: cio.NullIO, spec: []oci.SpecOpts{oci.WithMounts([]specs.Mount{{
		Type: "bind", Source: t.TempDir(), Destination: "/data", Options: []string{"rbind"}, UIDMappings: ids, GIDMappings: ids}})}}
	b := e.newContainer(o)
	if err := b.tryCreate(o); err == nil || !strings.Contains(strings.ToLower(err.Error()), "idmap") {
		t.Errorf("create gave %v", err)
	}
	equal(t, "bundle", exists(b.bundle()), false)
}
