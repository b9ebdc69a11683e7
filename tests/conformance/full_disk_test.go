// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"debug/elf"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	contentapi "github.com/containerd/containerd/api/services/content/v1"
	taskapi "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What a full file system or database means to clients: an error that says so, everything that was there is still
// there, things can be deleted, and what failed left nothing.

const fullDiskReason = "a full file system has no code of its own"

// startOnTmpfs runs a daemon whose root, or whose state, is a tmpfs with these mount options.
func startOnTmpfs(t *testing.T, opts daemonOptions, options string, folder func(*daemon) string) *daemon {
	t.Helper()
	d, err := newDaemon(opts)
	ok(t, err)
	ok(t, unix.Mount("tmpfs", folder(d), "tmpfs", 0, options))
	t.Cleanup(func() { ok(t, unix.Unmount(folder(d), 0)) })
	ok(t, d.start())
	t.Cleanup(func() {
		if d.running() {
			d.stop(t)
		}
		if t.Failed() {
			t.Logf("log of %s:\n%s", d.opts.name, d.logTail(4000))
		}
	})
	return d
}

func rootOf(d *daemon) string  { return d.root }
func stateOf(d *daemon) string { return d.state }

// free is the room on the file system of path, in bytes.
func free(t testing.TB, path string) int64 {
	t.Helper()
	var stat unix.Statfs_t
	ok(t, unix.Statfs(path, &stat))
	return int64(stat.Bavail) * stat.Bsize
}

// ballast leaves only this many bytes free; the returned function throws it off.
func ballast(t testing.TB, dir string, leave int64) func() {
	t.Helper()
	name := filepath.Join(dir, "ballast")
	f, err := os.Create(name)
	ok(t, err)
	defer f.Close()
	ok(t, unix.Fallocate(int(f.Fd()), 0, 0, free(t, dir)-leave))
	return func() { ok(t, os.Remove(name)) }
}

// noise is data that nothing packs.
func noise(size int) string {
	data := make([]byte, size)
	source := rand.NewChaCha8([32]byte{byte(size)})
	_, _ = source.Read(data)
	return string(data)
}

func TestFullDiskContent(t *testing.T) {
	gantryOnly(t, fullDiskReason)
	t.Parallel()
	d := startOnTmpfs(t, daemonOptions{name: "full"}, "size=24m", rootOf)
	e := d.env(t).held()
	kept := e.blob(noise(1<<20), nil)
	before := free(t, d.root)

	const piece = 1 << 20
	data := noise(piece)
	w := e.openWriter("big", 64<<20, "")
	var offset int64
	var err error
	for err == nil && offset < 64<<20 {
		if _, err = w.write(data, offset); err == nil {
			offset += piece
		}
	}
	wantCode(t, err, codes.ResourceExhausted)
	w.close()
	// What was there reads on, and what arrived is known.
	equal(t, "blob", e.hasBlob(kept), true)
	again := e.openWriter("big", 64<<20, "")
	if at := again.stat().Offset; at < offset {
		t.Errorf("%d bytes were acknowledged, %d are there", offset, at)
	}
	again.close()
	eventually(t, 5e9, "the ingest can be dropped", func() bool {
		_, err = e.content().Abort(e.ctx, &contentapi.AbortRequest{Ref: "big"})
		return status.Code(err) != codes.Unavailable
	})
	ok(t, err)
	e.gc()
	if left := before - free(t, d.root); left > 1<<20 {
		t.Errorf("%d bytes are lost", left)
	}
	equal(t, "blob", e.hasBlob(e.blob(noise(2<<20), nil)), true)
	equal(t, "ingests", len(names(t, filepath.Join(d.root, "io.containerd.content.v1.content", "ingest"))), 0)
}

// TestFullDiskDelete: on a disk without any room, things can still be deleted, which makes room.
func TestFullDiskDelete(t *testing.T) {
	gantryOnly(t, fullDiskReason)
	t.Parallel()
	d := startOnTmpfs(t, daemonOptions{name: "fdel"}, "size=24m", rootOf)
	e := d.env(t)
	big := e.held().blob(noise(4<<20), nil)
	e.image("i", big, nil)
	e.deleteLease("held", true)
	drop := ballast(t, d.root, 0)
	defer drop()
	_, err := e.tryBlob("more", noise(1<<20))
	wantCode(t, err, codes.ResourceExhausted)
	for i := range 20 {
		_, err := e.containers().Create(e.ctx, &containersapi.CreateContainerRequest{Container: bigContainer(fmt.Sprint("c", i), 64<<10)})
		if err != nil {
			wantCode(t, err, codes.ResourceExhausted)
			break
		}
	}
	e.deleteImage("i", true)
	equal(t, "blob", e.hasBlob(big), false)
	equal(t, "blob's file", exists(d.blobPath(big)), false)
	if room := free(t, d.root); room < 3<<20 {
		t.Errorf("only %d bytes are free", room)
	}
	equal(t, "blob", e.hasBlob(e.held().blob(noise(1<<20), nil)), true)
}

func (e *env) tryBlob(ref, data string) (string, error) {
	w, _, err := e.tryOpen(ref, int64(len(data)), "")
	if err != nil {
		return "", err
	}
	defer w.close()
	_, err = w.tryCommit(data, 0, int64(len(data)), digestOf(data), nil)
	return digestOf(data), err
}

func bigContainer(id string, size int) *containersapi.Container {
	c := containerOf(id)
	c.Spec = anyOf("spec", noise(size))
	return c
}

// TestFullDatabase fills the metadata store, by its own bound and by the disk's.
func TestFullDatabase(t *testing.T) {
	gantryOnly(t, fullDiskReason)
	for name, opts := range map[string]struct{ config, options string }{
		"map":  {"[plugins.'io.containerd.metadata.v1.bolt']\nmap_size = 4194304\n", "size=64m"},
		"disk": {"", "size=6m"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startOnTmpfs(t, daemonOptions{name: "fdb", config: opts.config}, opts.options, rootOf)
			e := d.env(t)
			made := 0
			var err error
			for ; err == nil && made < 1000; made++ {
				_, err = e.containers().Create(e.ctx, &containersapi.CreateContainerRequest{
					Container: bigContainer(fmt.Sprint("c", made), 64<<10)})
			}
			made--
			wantCode(t, err, codes.ResourceExhausted)
			list, err := e.containers().List(e.ctx, &containersapi.ListContainersRequest{})
			ok(t, err)
			equal(t, "containers", len(list.Containers), made)
			equal(t, "spec", string(e.getContainer("c0").Spec.Value), noise(64<<10))
			d.kill()
			d.restart(t)
			for i := range made {
				e.deleteContainer(fmt.Sprint("c", i))
			}
			// Not all: large records want pages in a row.
			for i := range made / 2 {
				e.container(bigContainer(fmt.Sprint("d", i), 64<<10))
			}
		})
	}
}

func TestFullDiskUnpack(t *testing.T) {
	gantryOnly(t, fullDiskReason)
	t.Parallel()
	d := startOnTmpfs(t, daemonOptions{name: "funp"}, "size=32m", rootOf)
	e := d.env(t).held()
	plain := tarOf(t, file("a", noise(6<<20)), file("b", "x"))
	mounts := e.prepare("active", "", nil)
	desc := descriptor(e.blob(string(plain), nil))
	desc.MediaType, desc.Size = layerTar, int64(len(plain))
	before := free(t, d.root)
	drop := ballast(t, d.root, 2<<20)
	_, err := e.applyBlob(mounts, desc, nil)
	wantCode(t, err, codes.ResourceExhausted)
	equal(t, "mounts", len(mountsBelow(filepath.Join(d.root, "tmpmounts"))), 0)
	ok(t, e.removeSnapshot("active"))
	e.gc()
	drop()
	if left := before - free(t, d.root); left > 1<<20 {
		t.Errorf("%d bytes are lost", left)
	}
	mounts = e.prepare("active", "", nil)
	applied, err := e.applyBlob(mounts, desc, nil)
	ok(t, err)
	equal(t, "diff id", applied.Digest, digestOf(string(plain)))
	e.commit("layer", "active", nil)
	equal(t, "committed", e.hasSnapshot("layer"), true)
}

// TestFullDiskSnapshot: no inode is left for a snapshot's folder.
func TestFullDiskSnapshot(t *testing.T) {
	gantryOnly(t, fullDiskReason)
	t.Parallel()
	d := startOnTmpfs(t, daemonOptions{name: "fsnp"}, "size=32m,nr_inodes=200", rootOf)
	e := d.env(t).held()
	e.layer("base", "", nil)
	folder := filepath.Join(d.root, "io.containerd.snapshotter.v1.overlayfs", "snapshots")
	before := len(names(t, folder))
	var stat unix.Statfs_t
	ok(t, unix.Statfs(d.root, &stat))
	for i := range int(stat.Ffree) {
		ok(t, os.WriteFile(filepath.Join(d.root, fmt.Sprint("inode", i)), nil, 0o600))
	}
	for _, parent := range []string{"", "base"} {
		wantCode(t, e.tryPrepare("key", parent, nil), codes.ResourceExhausted)
		equal(t, "snapshot", e.hasSnapshot("key"), false)
	}
	equal(t, "folders", len(names(t, folder)), before)
	for i := range int(stat.Ffree) {
		ok(t, os.Remove(filepath.Join(d.root, fmt.Sprint("inode", i))))
	}
	e.gc()
	equal(t, "folders", len(names(t, folder)), before)
	e.prepare("key", "base", nil)
	equal(t, "folders", len(names(t, folder)), before+1)
}

// TestFullState: no room for a bundle.
func TestFullState(t *testing.T) {
	gantryOnly(t, fullDiskReason)
	t.Parallel()
	d := startOnTmpfs(t, daemonOptions{name: "fst"}, "size=2m", stateOf)
	e := d.env(t)
	o := boxOptions{args: []string{"true"}, io: cio.NullIO}
	b := e.newContainer(o)
	drop := ballast(t, d.state, 0)
	err := b.tryCreate(o)
	if !errdefs.IsResourceExhausted(err) || !strings.Contains(err.Error(), "No space left on device") {
		t.Errorf("the error does not say why: %v", err)
	}
	equal(t, "bundle", exists(b.bundle()), false)
	drop()
	ok(t, b.tryCreate(o))
	ok(t, b.task.Start(e.ctx))
	b.exit()
	b.delete()
}

// TestS149_NoDescriptors: the daemon may open nothing more. What needs no descriptor goes on, what fails leaves nothing.
func TestS149_NoDescriptors(t *testing.T) {
	if linksUBSan(t, run.bin) {
		t.Skip("UBSan looks at an object through a pipe, and without descriptors takes every one for broken")
	}
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "emfile"})
	e := d.env(t)
	running := e.sleeper()
	o := boxOptions{args: []string{"true"}, io: cio.NullIO}
	b := e.newContainer(o)
	d.quiesce()
	var limit unix.Rlimit
	ok(t, unix.Prlimit(d.pid(), unix.RLIMIT_NOFILE, nil, &limit))
	ok(t, unix.Prlimit(d.pid(), unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: limit.Max}, nil))
	if err := b.tryCreate(o); err == nil || !strings.Contains(strings.ToLower(err.Error()), "too many open files") {
		t.Errorf("create without a descriptor gave %v", err)
	}
	equal(t, "status beside it", running.status(""), taskapi.Status_RUNNING)
	ok(t, running.task.Kill(e.ctx, syscall.SIGKILL))
	equal(t, "exit status", running.exit(), 137)
	ok(t, unix.Prlimit(d.pid(), unix.RLIMIT_NOFILE, &limit, nil))
	running.delete()
	gantryOnly(t, "the bundle of what failed for want of descriptors stays")
	eventually(t, 10*time.Second, "nothing is left of the failed one", func() bool {
		return !exists(b.bundle()) && len(shimsOf(d, b.id)) == 0
	})
	ok(t, b.tryCreate(o))
	ok(t, b.task.Start(e.ctx))
	equal(t, "exit status", b.exit(), 0)
	b.delete()
}

func linksUBSan(t *testing.T, program string) bool { return linksAnyOf(t, program, "libubsan") }

func linksAnyOf(t *testing.T, program string, names ...string) bool {
	t.Helper()
	file, err := elf.Open(program)
	ok(t, err)
	defer file.Close()
	libraries, err := file.ImportedLibraries()
	ok(t, err)
	return slices.ContainsFunc(libraries, func(library string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(library, name) })
	})
}
