// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	diffapi "github.com/containerd/containerd/api/services/diff/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/testsuite"
	"golang.org/x/sys/unix"
)

// mounted mounts a list as a client does and returns where; the test's end unmounts it.
func (e *env) mounted(mounts []*types.Mount) string {
	e.t.Helper()
	target := e.t.TempDir()
	ok(e.t, mount.All(mount.FromProto(mounts), target))
	e.t.Cleanup(func() {
		if err := mount.UnmountAll(target, 0); err != nil {
			e.t.Errorf("unmount %s: %v", target, err)
		}
	})
	return target
}

// inside runs fn in the mounted list and unmounts it again.
func (e *env) inside(mounts []*types.Mount, fn func(root string)) {
	e.t.Helper()
	target := e.t.TempDir()
	ok(e.t, mount.All(mount.FromProto(mounts), target))
	fn(target)
	ok(e.t, mount.UnmountAll(target, 0))
}

func TestL120_OverlayMountTypes(t *testing.T) {
	e := newEnv(t).held()
	base := e.prepare("active", "", nil)
	equal(t, "base active", describe(base), "bind rbind,rw")
	e.commit("base", "active", nil)
	e.layer("top", "base", nil)
	equal(t, "base view", describe(e.view("base view", "")), "bind rbind,ro")
	single := e.view("single", "base")
	equal(t, "single-parent view", describe(single), "bind rbind,ro")
	equal(t, "source of a single-parent view", single[0].Source, base[0].Source)
	equal(t, "active", e.prepare("child", "base", nil)[0].Type, "overlay")
	view := e.view("view", "top")
	equal(t, "view", view[0].Type, "overlay")
	for _, option := range view[0].Options {
		if strings.HasPrefix(option, "upperdir=") || strings.HasPrefix(option, "workdir=") {
			t.Errorf("a view has %s", option)
		}
	}
}

// describe is the type and the sorted options of the only mount.
func describe(mounts []*types.Mount) string {
	if len(mounts) != 1 {
		return fmt.Sprintf("%d mounts", len(mounts))
	}
	options := slices.Sorted(slices.Values(mounts[0].Options))
	return mounts[0].Type + " " + strings.Join(options, ",")
}

func TestL121_OverlayOptionOrder(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "ovl", config: "[plugins.'io.containerd.snapshotter.v1.overlayfs']\n" +
		"mount_options = ['index=off', 'xino=auto']\nupperdir_label = true\nsync_remove = true\n"})
	e := d.env(t).held()
	e.layer("a", "", nil)
	e.layer("b", "a", nil)
	e.layer("c", "b", nil)
	mounts := e.prepare("key", "c", nil)
	equal(t, "source", mounts[0].Source, "overlay")
	var keys []string
	for _, option := range mounts[0].Options {
		key, _, _ := strings.Cut(option, "=")
		keys = append(keys, key)
	}
	if !slices.Equal(keys, []string{"workdir", "upperdir", "lowerdir", "index", "xino"}) {
		t.Errorf("options %v", mounts[0].Options)
	}
	want := "lowerdir=" + strings.Join([]string{fsOf(e, "c"), fsOf(e, "b"), fsOf(e, "a")}, ":")
	equal(t, "lower layers", mounts[0].Options[2], want)
	info, err := e.stat("key")
	ok(t, err)
	equal(t, "upperdir label", info.Labels["containerd.io/snapshot/overlay.upperdir"],
		strings.TrimPrefix(mounts[0].Options[1], "upperdir="))
	e.inside(mounts, func(root string) { ok(t, os.WriteFile(filepath.Join(root, "x"), nil, 0o600)) })

	dir := e.snapshotDir("key")
	ok(t, e.removeSnapshot("key"))
	e.gc()
	equal(t, "folder after a synchronous removal", exists(dir), false)
}

func fsOf(e *env, key string) string { return filepath.Join(e.snapshotDir(key), "fs") }

func TestL122_OverlayAutomaticOptions(t *testing.T) {
	e := newEnv(t).held()
	e.layer("a", "", nil)
	options := e.prepare("key", "a", nil)[0].Options
	wantIndex := 0
	if exists("/sys/module/overlay/parameters/index") {
		wantIndex = 1
	}
	equal(t, "index=off", count(options, "index=off"), wantIndex)
	equal(t, "userxattr outside a user namespace", count(options, "userxattr"), 0)
}

func count(all []string, one string) int {
	n := 0
	for _, s := range all {
		if s == one {
			n++
		}
	}
	return n
}

func TestL123_RootOwnership(t *testing.T) {
	e := newEnv(t).held()
	fresh := e.prepare("fresh", "", nil)
	e.inside(fresh, func(root string) {
		wantOwner(t, root, 0o755, 0, 0)
		ok(t, os.Chown(root, 1234, 2345))
	})
	e.commit("owned", "fresh", nil)
	wantOwner(t, layerOf(e.prepare("child", "owned", nil)), 0o755, 1234, 2345)
	mapped := e.prepare("mapped", "", map[string]string{
		"containerd.io/snapshot/uidmapping": "0:5000:65536", "containerd.io/snapshot/gidmapping": "0:6000:65536"})
	wantOwner(t, layerOf(mapped), 0o755, 5000, 6000)
}

func TestL124_IDMaps(t *testing.T) {
	e := newEnv(t).held()
	if !slices.Contains(e.plugin("io.containerd.snapshotter.v1", overlayfs).Capabilities, "remap-ids") {
		t.Skip("the kernel cannot map ids of overlay")
	}
	e.inside(e.prepare("make", "", nil), func(root string) {
		ok(t, os.WriteFile(filepath.Join(root, "zero"), nil, 0o644))
		ok(t, os.WriteFile(filepath.Join(root, "seven"), nil, 0o644))
		ok(t, os.Chown(filepath.Join(root, "seven"), 7, 7))
	})
	e.commit("base", "make", nil)
	mounts := e.prepare("key", "base", map[string]string{
		"containerd.io/snapshot/uidmapping": "0:5000:65536", "containerd.io/snapshot/gidmapping": "0:6000:65536"})
	if !slices.Contains(mounts[0].Options, "uidmap=0:5000:65536") || !slices.Contains(mounts[0].Options, "gidmap=0:6000:65536") {
		t.Errorf("options %v", mounts[0].Options)
	}
	e.inside(mounts, func(root string) {
		wantOwner(t, filepath.Join(root, "zero"), 0o644, 5000, 6000)
		wantOwner(t, filepath.Join(root, "seven"), 0o644, 5007, 6007)
	})
}

func TestL125_ManyLayers(t *testing.T) {
	e := newEnv(t).held()
	const layers = 128
	parent := ""
	for i := range layers {
		key := fmt.Sprintf("active %d", i)
		mounts := e.prepare(key, parent, nil)
		ok(t, os.WriteFile(filepath.Join(layerOf(mounts), fmt.Sprintf("file%d", i)), []byte{byte(i)}, 0o644))
		name := fmt.Sprintf("layer-with-a-long-name-%d", i)
		e.commit(name, key, nil)
		parent = name
	}
	mounts := e.prepare("top", parent, nil)
	if size := len(strings.Join(mounts[0].Options, ",")); size < os.Getpagesize() {
		t.Fatalf("options of %d bytes only", size)
	}
	e.inside(mounts, func(root string) {
		if got := names(t, root); len(got) != layers {
			t.Errorf("%d files", len(got))
		}
	})
}

func TestL126_AsyncRemove(t *testing.T) {
	e := newEnv(t).held()
	e.prepare("key", "", nil)
	dir := e.snapshotDir("key")
	ok(t, e.removeSnapshot("key"))
	e.gc()
	equal(t, "folder after a collection", exists(dir), false)
}

func TestL116_Usage(t *testing.T) {
	e := newEnv(t).held()
	usage := func(key string) *snapshotsapi.UsageResponse {
		answer, err := e.snapshots().Usage(e.ctx, &snapshotsapi.UsageRequest{Snapshotter: overlayfs, Key: key})
		ok(t, err)
		return answer
	}
	mounts := e.prepare("active", "", nil)
	e.inside(mounts, func(root string) {
		ok(t, os.WriteFile(filepath.Join(root, "a"), make([]byte, 1<<20), 0o644))
		ok(t, os.Link(filepath.Join(root, "a"), filepath.Join(root, "b")))
	})
	active := usage("active")
	if active.Size < 1<<20 || active.Size > 1<<20+64<<10 || active.Inodes != 2 {
		t.Errorf("usage of the active snapshot: %v", active)
	}
	e.commit("base", "active", nil)
	committed := usage("base")
	equal(t, "committed size", committed.Size, active.Size)
	equal(t, "committed inodes", committed.Inodes, active.Inodes)
	e.prepare("child", "base", nil)
	if child := usage("child"); child.Size > 64<<10 || child.Inodes > 2 {
		t.Errorf("usage of the child: %v", child)
	}
	e.view("view", "base")
	if view := usage("view"); view.Size != 0 {
		t.Errorf("usage of a view: %v", view)
	}
}

// TestL127_Suite runs upstream's suite for snapshotters, through the service, for both drivers.
func TestL127_L128_Suite(t *testing.T) {
	t.Parallel()
	for _, driver := range []string{overlayfs, "native"} {
		t.Run(driver, func(t *testing.T) {
			testsuite.SnapshotterSuite(t, driver, func(context.Context, string) (snapshots.Snapshotter, func() error, error) {
				return common.client.SnapshotService(driver), nil, nil
			})
		})
	}
}

// TestL127_MoreFileRules adds what the suite leaves out: hard links, extended attributes, opaque folders.
func TestL127_MoreFileRules(t *testing.T) {
	e := newEnv(t).held()
	e.inside(e.prepare("make", "", nil), func(root string) {
		ok(t, os.WriteFile(filepath.Join(root, "one"), []byte("1"), 0o644))
		ok(t, os.Link(filepath.Join(root, "one"), filepath.Join(root, "two")))
		ok(t, unix.Setxattr(filepath.Join(root, "one"), "user.x", []byte("y"), 0))
		ok(t, os.Mkdir(filepath.Join(root, "dir"), 0o755))
		ok(t, os.WriteFile(filepath.Join(root, "dir", "old"), nil, 0o644))
	})
	e.commit("base", "make", nil)
	e.inside(e.prepare("change", "base", nil), func(root string) {
		ok(t, os.RemoveAll(filepath.Join(root, "dir")))
		ok(t, os.Mkdir(filepath.Join(root, "dir"), 0o700))
		ok(t, os.WriteFile(filepath.Join(root, "dir", "new"), nil, 0o644))
	})
	e.commit("top", "change", nil)
	e.inside(e.view("look", "top"), func(root string) {
		if got := names(t, filepath.Join(root, "dir")); !slices.Equal(got, []string{"new"}) {
			t.Errorf("the replaced folder holds %v", got)
		}
		value := make([]byte, 8)
		n, err := unix.Getxattr(filepath.Join(root, "two"), "user.x", value)
		ok(t, err)
		equal(t, "attribute", string(value[:n]), "y")
		one, two := statOf(t, filepath.Join(root, "one")), statOf(t, filepath.Join(root, "two"))
		equal(t, "same inode", one.Ino, two.Ino)
		if err := os.WriteFile(filepath.Join(root, "no"), nil, 0o644); err == nil {
			t.Error("a view is writable")
		}
	})
}

func statOf(t testing.TB, path string) *syscall.Stat_t {
	t.Helper()
	info, err := os.Lstat(path)
	ok(t, err)
	return info.Sys().(*syscall.Stat_t)
}

func TestL130_PrivateOptionsNeverReachTheKernel(t *testing.T) {
	e := newEnv(t).held()
	layer := e.blob(string(tarOf(t, file("a", "x"))), nil)
	target := t.TempDir()
	_, err := e.diff().Apply(e.ctx, &diffapi.ApplyRequest{
		Diff:   &types.Descriptor{MediaType: layerTar, Digest: layer, Size: 1},
		Mounts: []*types.Mount{{Type: "bind", Source: target, Options: []string{"rbind", "rw", "X-containerd.nonsense=1"}}}})
	if err == nil {
		t.Error("a private option was swallowed")
	}
	equal(t, "something was extracted", exists(filepath.Join(target, "a")), false)
}

func TestL131_TemporaryMountsAreSwept(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "tmp"})
	d.kill()
	left := filepath.Join(d.root, "tmpmounts", "containerd-mount123")
	source := t.TempDir()
	ok(t, os.MkdirAll(left, 0o700))
	ok(t, os.WriteFile(filepath.Join(source, "precious"), nil, 0o600))
	ok(t, unix.Mount(source, left, "", unix.MS_BIND, ""))
	d.restart(t)
	eventually(t, 5e9, "the mount is gone", func() bool { return len(mountsBelow(filepath.Join(d.root, "tmpmounts"))) == 0 })
	eventually(t, 5e9, "the folder is gone", func() bool { return !exists(left) })
	equal(t, "the source is untouched", exists(filepath.Join(source, "precious")), true)
}
