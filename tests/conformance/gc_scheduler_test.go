// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"conformance/internal/proxy"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
)

// schedulerConfig is the section of the garbage collector's scheduler.
func schedulerConfig(lines ...string) string {
	return "[plugins.'io.containerd.gc.v1.scheduler']\n" + strings.Join(lines, "\n") + "\n"
}

func TestL179_SyncDuringRun(t *testing.T) {
	x := newProxied(t, "native")
	ok(t, x.prepare("slow", "", rooted()))
	dgst := x.leased(x.lease("holder", nil)).blob("garbage", nil)
	// Ordered first: a deletion brings a collection of its own.
	release := x.p.order("remove", proxy.Fault{Mode: proxy.ModeHang, Key: "slow"})
	ok(t, x.remove("slow"))
	first := make(chan error, 1)
	go func() { first <- collect(x.ctx, x.conn) }()
	eventually(t, 10*time.Second, "the run is in the backend", func() bool { return x.p.hangs("remove") })
	// The first run has already marked; what becomes garbage now is the second's.
	second := make(chan error, 1)
	go func() {
		x.env.deleteLease("holder", true)
		second <- nil
	}()
	select {
	case <-second:
		if exists(x.blobPath(dgst)) {
			t.Error("the second request did not wait for a run of its own")
		}
	case <-time.After(200 * time.Millisecond):
	}
	release()
	ok(t, <-first)
	ok(t, <-second)
	equal(t, "garbage", exists(x.blobPath(dgst)), false)
}

func TestL180_DefaultSchedule(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "sched"})
	e := d.env(t)
	kept := e.leased(e.lease("l", nil)).blob("kept", nil)
	deleted := e.leased("l").blob("deleted", nil)
	e.leased("l").deleteBlob(deleted)
	start := time.Now()
	eventually(t, 5*time.Second, "the deleted blob's file is gone", func() bool { return !exists(d.blobPath(deleted)) })
	if took := time.Since(start); took > scaled(3*time.Second) {
		t.Errorf("a deletion was collected after %v", took)
	}
	equal(t, "leased blob", exists(d.blobPath(kept)), true)

	// Garbage that no deletion announces: committed without a lease.
	garbage := e.blob("garbage", nil)
	mutate := func(n int) {
		for i := range n {
			_, err := e.images().Create(e.ctx, &imagesapi.CreateImageRequest{
				Image: imageOf(fmt.Sprintf("i%d-%d", n, i), someDigest, nil)})
			ok(t, err)
		}
	}
	mutate(60)
	time.Sleep(700 * time.Millisecond)
	equal(t, "garbage after some mutations", exists(d.blobPath(garbage)), true)
	mutate(100)
	eventually(t, 5*time.Second, "the garbage is collected after a hundred mutations", func() bool { return !e.hasBlob(garbage) })
}

func TestL181_Thresholds(t *testing.T) {
	t.Parallel()
	at := startDaemon(t, daemonOptions{name: "now", config: schedulerConfig("deletion_threshold = 1",
		"mutation_threshold = 0", "startup_delay = '0s'")}).env(t)
	dgst := at.leased(at.lease("l", nil)).blob("x", nil)
	start := time.Now()
	at.leased("l").deleteBlob(dgst)
	eventually(t, 5*time.Second, "collected at once", func() bool { return !exists(at.blobPath(dgst)) })
	if took := time.Since(start); took > scaled(900*time.Millisecond) {
		t.Errorf("collected after %v", took)
	}

	late := startDaemon(t, daemonOptions{name: "late", config: schedulerConfig("deletion_threshold = 1",
		"schedule_delay = '800ms'", "startup_delay = '0s'")}).env(t)
	dgst = late.leased(late.lease("l", nil)).blob("x", nil)
	late.leased("l").deleteBlob(dgst)
	time.Sleep(400 * time.Millisecond)
	equal(t, "file during the delay", exists(late.blobPath(dgst)), true)
	eventually(t, 5*time.Second, "collected after the delay", func() bool { return !exists(late.blobPath(dgst)) })
}

func TestL181_StartupDelay(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "start", config: schedulerConfig("startup_delay = '0s'", "mutation_threshold = 0")})
	e := d.env(t)
	garbage := e.blob("garbage", nil)
	d.stop(t)
	d.restart(t)
	time.Sleep(500 * time.Millisecond)
	equal(t, "garbage without a start-up run", e.hasBlob(garbage), true)
	d.stop(t)
	d.opts.config = schedulerConfig("mutation_threshold = 0")
	ok(t, d.writeConfig())
	d.restart(t)
	eventually(t, 5*time.Second, "the start-up run collects", func() bool { return !e.hasBlob(garbage) })
}

func TestL182_FailedRemoval(t *testing.T) {
	x := newProxied(t, "native")
	for _, key := range []string{"a-good", "b-bad", "c-good"} {
		ok(t, x.prepare(key, "", rooted()))
	}
	x.p.order("remove", proxy.Fault{Mode: proxy.ModeError, Key: "b-bad", Class: "failed precondition"})
	for _, key := range []string{"a-good", "b-bad", "c-good"} {
		ok(t, x.remove(key))
	}
	x.gc()
	equal(t, "folders left", len(x.folders()), 1)
}

func TestL182_FailedRemovalOfAnyKind(t *testing.T) {
	gantryOnly(t, "an unexpected error ends the clean-up of a snapshotter")
	x := newProxied(t, "native")
	for _, key := range []string{"a-good", "b-bad", "c-good"} {
		ok(t, x.prepare(key, "", rooted()))
	}
	end := x.p.order("remove", proxy.Fault{Mode: proxy.ModeError, Key: "b-bad", Class: "internal"})
	for _, key := range []string{"a-good", "b-bad", "c-good"} {
		ok(t, x.remove(key))
	}
	x.gc()
	equal(t, "folders left", len(x.folders()), 1)
	end()
	ok(t, x.prepare("other", "", rooted()))
	ok(t, x.remove("other"))
	x.gc()
	equal(t, "folders left", len(x.folders()), 0)
}

func TestL182_HangingRemoval(t *testing.T) {
	gantryOnly(t, "a hanging removal blocks the snapshotter for ever")
	x := newProxied(t, "native")
	release := x.p.order("remove", proxy.Fault{Mode: proxy.ModeHang, Key: "b-bad"})
	for _, key := range []string{"a-good", "b-bad", "c-good"} {
		ok(t, x.prepare(key, "", rooted()))
		ok(t, x.remove(key))
	}
	run := make(chan error, 1)
	go func() { run <- collect(x.ctx, x.conn) }()
	eventually(t, 10*time.Second, "the run hangs", func() bool { return x.p.hangs("remove") })
	start := time.Now()
	ok(t, x.prepare("new", "", rooted()))
	if took := time.Since(start); took > scaled(5*time.Second) {
		t.Errorf("Prepare took %v while a removal hangs", took)
	}
	select {
	case err := <-run:
		ok(t, err)
		equal(t, "folders left", len(x.folders()), 2)
	case <-time.After(scaled(40 * time.Second)):
		t.Error("the run has no deadline for a removal")
	}
	release()
}

func TestL183_ReadsDuringCleanup(t *testing.T) {
	x := newProxied(t, "native")
	ok(t, x.prepare("slow", "", rooted()))
	dgst := x.held().blob("readable", nil)
	release := x.p.order("remove", proxy.Fault{Mode: proxy.ModeHang, Key: "slow"})
	ok(t, x.remove("slow"))
	run := make(chan error, 1)
	go func() { run <- collect(x.ctx, x.conn) }()
	eventually(t, 10*time.Second, "the run is in the backend", func() bool { return x.p.hangs("remove") })
	start := time.Now()
	_, err := x.content().List(x.ctx, &contentapi.ListContentRequest{})
	ok(t, err)
	chunks, err := x.read(dgst, 0, 0)
	ok(t, err)
	equal(t, "data", joined(chunks), "readable")
	x.image("i", dgst, nil)
	if took := time.Since(start); took > scaled(8*time.Second) {
		t.Errorf("took %v", took)
	}
	release()
	ok(t, <-run)
}
