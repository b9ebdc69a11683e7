// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	taskapi "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"golang.org/x/sys/unix"
)

// deadFUSE is a file system whose server answers nothing. It is aborted, and then unmounted, when the test ends, or before.
func deadFUSE(t testing.TB, dir string) (abort func()) {
	t.Helper()
	server, err := os.OpenFile("/dev/fuse", os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("FUSE is needed: %v", err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", server.Fd())
	if err := unix.Mount("dead", dir, "fuse", 0, options); err != nil {
		server.Close()
		t.Skipf("FUSE is needed: %v", err)
	}
	abort = func() {
		server.Close()
		_ = unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	}
	t.Cleanup(abort)
	return abort
}

// TestS137_StackedMounts: whatever lies on and below the rootfs, one above the other, is unmounted by Delete.
func TestS137_StackedMounts(t *testing.T) {
	ownShimOnly(t, "it finds busy what it has just uncovered")
	e := newEnv(t)
	b := e.run(boxOptions{args: []string{"sleep", "1000"}, io: cio.NullIO})
	rootfs := filepath.Join(b.bundle(), "rootfs")
	for range 2 {
		for _, dir := range []string{"tmp", "tmp/deeper", "tmp", ""} {
			target := filepath.Join(rootfs, dir)
			ok(t, os.MkdirAll(target, 0o755))
			ok(t, unix.Mount("stacked", target, "tmpfs", 0, ""))
		}
	}
	equal(t, "mounts", len(mountsBelow(b.bundle())), 9)
	b.finishUnmounted()
}

// finishUnmounted ends the box in the time that there is for unmounting.
func (b *box) finishUnmounted() {
	t := b.e.t
	t.Helper()
	start := time.Now()
	b.finish()
	if took := time.Since(start); took > scaled(10*time.Second) {
		t.Errorf("it took %v", took)
	}
	equal(t, "mounts left", strings.Join(mountsBelow(b.bundle()), " "), "")
	equal(t, "bundle", exists(b.bundle()), false)
}

// TestS137_DeadFUSEBelowTheRootfs: a file system that answers nothing is unmounted like any other.
func TestS137_DeadFUSEBelowTheRootfs(t *testing.T) {
	ownShimOnly(t, "it asks the dead file system, and waits for ever")
	e := newEnv(t)
	b := e.run(boxOptions{args: []string{"sleep", "1000"}, io: cio.NullIO})
	deadFUSE(t, filepath.Join(b.bundle(), "rootfs", "tmp"))
	equal(t, "mounts", len(mountsBelow(b.bundle())), 2)
	b.finishUnmounted()
}

// TestS137_BusyRootfs: what somebody uses for a moment is waited for; what stays in use fails the deletion, which can be repeated.
func TestS137_BusyRootfs(t *testing.T) {
	e := newEnv(t)
	stopped := func() (*box, *os.File) {
		b := e.run(boxOptions{args: []string{"true"}, io: cio.NullIO})
		b.exit()
		user, err := os.Open(filepath.Join(b.bundle(), "rootfs", "bin", "busybox"))
		ok(t, err)
		return b, user
	}
	remove := func(b *box) error {
		_, err := e.tasks().Delete(e.ctx, &tasksapi.DeleteTaskRequest{ContainerID: b.id})
		return err
	}
	b, user := stopped()
	time.AfterFunc(time.Second, func() { user.Close() })
	start := time.Now()
	ok(t, remove(b))
	took := time.Since(start)
	if took < 900*time.Millisecond {
		t.Errorf("it was not waited for: %v", took)
	}
	equal(t, "mounts left", len(mountsBelow(b.bundle())), 0)

	b, user = stopped()
	start = time.Now()
	err := remove(b)
	took = time.Since(start)
	t.Logf("in use all the time: %v after %v", err, took.Round(time.Millisecond))
	if err == nil || !strings.Contains(err.Error(), "busy") {
		t.Errorf("deleting what is in use gave %v", err)
	}
	if took > scaled(8*time.Second) {
		t.Errorf("it took %v", took)
	}
	equal(t, "status", b.status(""), taskapi.Status_STOPPED)
	ok(t, user.Close())
	ok(t, remove(b))
	equal(t, "mounts left", len(mountsBelow(b.bundle())), 0)
	equal(t, "bundle", exists(b.bundle()), false)
}

// TestS137_DeadFUSEBlocksOneContainer: while a mount of one container waits for a file system that answers nothing, those beside it in the
// same shim live, end and begin. Once there is an answer, if only a refusal, the one that waited fails and leaves nothing.
func TestS137_DeadFUSEBlocksOneContainer(t *testing.T) {
	ownShimOnly(t, "it creates one container at a time, and asks nothing of others meanwhile")
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "fuse"})
	e := d.env(t)
	beside := e.grouped("g")
	dir := t.TempDir()
	abort := deadFUSE(t, dir)
	o := boxOptions{args: []string{"sleep", "1000"}, io: cio.NullIO,
		spec: []oci.SpecOpts{oci.WithAnnotations(map[string]string{"io.containerd.runc.v2.group": "g"})},
		rootfs: append(e.overlayRoot(),
			mount.Mount{Type: "bind", Source: filepath.Join(dir, "sub"), Target: "/tmp", Options: []string{"rbind"}})}
	stuck := e.newContainer(o)
	created := make(chan error, 1)
	go func() { created <- stuck.tryCreate(o) }()
	eventually(t, 10*time.Second, "its first mount is there", func() bool { return len(mountsBelow(stuck.bundle())) > 0 })
	start := time.Now()
	equal(t, "status beside it", beside.status(""), taskapi.Status_RUNNING)
	_, exits := beside.exec("e", cio.NullIO, "sh", "-c", "exit 3")
	equal(t, "exec beside it", waitExit(t, exits), 3)
	e.grouped("g").finish()
	if took := time.Since(start); took > scaled(10*time.Second) {
		t.Errorf("it took %v beside a dead file system", took)
	}
	select {
	case err := <-created:
		t.Fatalf("the create ended: %v", err)
	default:
	}
	abort()
	if err := within(t, "the end of the create", func() error { return <-created }); err == nil {
		t.Error("it was created")
	}
	stuck.wantNoTask()
	equal(t, "mounts left", len(mountsBelow(stuck.bundle())), 0)
	beside.finish()
	eventually(t, 2*time.Second, "the shim is gone", func() bool { return len(d.shims()) == 0 })
}
