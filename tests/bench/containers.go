// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/containerd/containerd/api/types/runc/options"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
)

const runcRuntime = "io.containerd.runc.v2"

// newContainer makes a writable snapshot and a record, under a lease as the client library does it.
func newContainer(ctx context.Context, b *bench, d *daemon, watch *stopwatch, ociRuntime, id string, args ...string) (containerd.Container, error) {
	done := func(step string) containerd.NewContainerOpts {
		return func(context.Context, *containerd.Client, *containers.Container) error {
			watch.step(step)
			return nil
		}
	}
	return d.client.NewContainer(ctx, id, done("lease"),
		containerd.WithSnapshotter("overlayfs"), containerd.WithNewSnapshot(id, d.image), done("snapshot"),
		containerd.WithRuntime(runcRuntime, &options.Options{BinaryName: ociRuntime}),
		containerd.WithNewSpec(oci.WithDefaultSpec(), oci.WithDefaultPathEnv, oci.WithProcessArgs(args...),
			oci.WithCgroup("/"+b.set.cgroup+"/"+d.name+"/"+id), olderSpec))
}

// olderSpec names a version of the runtime specification that Debian's crun accepts.
func olderSpec(_ context.Context, _ oci.Client, _ *containers.Container, spec *oci.Spec) error {
	spec.Version = "1.0.2"
	return nil
}

// runOnce takes a container from nothing to nothing, as a client would.
func runOnce(ctx context.Context, b *bench, d *daemon, watch *stopwatch, ociRuntime, id string) error {
	container, err := newContainer(ctx, b, d, watch, ociRuntime, id, "/bin/true")
	if err != nil {
		return err
	}
	watch.step("record")
	task, err := container.NewTask(ctx, cio.NullIO)
	if err != nil {
		return err
	}
	watch.step("new task")
	exits, err := task.Wait(ctx)
	if err != nil {
		return err
	}
	if err := task.Start(ctx); err != nil {
		return err
	}
	watch.step("start")
	if status := <-exits; status.Error() != nil || status.ExitCode() != 0 {
		return fmt.Errorf("exit status %d: %w", status.ExitCode(), status.Error())
	}
	watch.step("wait for exit")
	if _, err := task.Delete(ctx); err != nil {
		return err
	}
	watch.step("task delete")
	if err := container.Delete(ctx, containerd.WithSnapshotCleanup); err != nil {
		return err
	}
	watch.step("container delete")
	watch.total("create to delete")
	return nil
}

func runContainers(ctx context.Context, b *bench, ociRuntime string) error {
	if err := b.withImage(ctx); err != nil {
		return err
	}
	rounds, group := b.count(b.set.rounds, 3), "run /bin/true, "+ociRuntime
	return b.cpuOf(group, rounds+1, func() error {
		return b.inTurns(ctx, rounds, func(ctx context.Context, d *daemon, to *recorder) error {
			return runOnce(ctx, b, d, to.watch(group), ociRuntime, b.name("run"))
		})
	})
}

// runParallel lets eight clients run containers at once, and records how long the eight take together.
func runParallel(ctx context.Context, b *bench, ociRuntime string) error {
	if err := b.withImage(ctx); err != nil {
		return err
	}
	const clients = 8
	return b.inTurns(ctx, b.count(b.set.rounds/4, 1), func(ctx context.Context, d *daemon, to *recorder) error {
		watch := to.watch("8 at once, " + ociRuntime)
		var group sync.WaitGroup
		failed := make(chan error, clients)
		silent := &recorder{}
		for range clients {
			id := b.name("par")
			group.Go(func() {
				each := silent.watch("")
				if err := runOnce(ctx, b, d, each, ociRuntime, id); err != nil {
					failed <- err
				}
				to.add(watch.group, "create to delete, each", "ms", milliseconds(each.last.Sub(each.began)))
			})
		}
		group.Wait()
		watch.step("all eight")
		close(failed)
		return <-failed
	})
}

// sleeper is a container that stays.
type sleeper struct {
	container containerd.Container
	task      containerd.Task
}

func startSleeper(ctx context.Context, b *bench, d *daemon, ociRuntime string) (*sleeper, error) {
	container, err := newContainer(ctx, b, d, (&recorder{}).watch(""), ociRuntime, b.name("sleep"), "/bin/sleep", "100000")
	if err != nil {
		return nil, err
	}
	task, err := container.NewTask(ctx, cio.NullIO)
	if err != nil {
		return nil, err
	}
	return &sleeper{container, task}, task.Start(ctx)
}

func (s *sleeper) end(ctx context.Context) error {
	if _, err := s.task.Delete(ctx, containerd.WithProcessKill); err != nil {
		return err
	}
	return s.container.Delete(ctx, containerd.WithSnapshotCleanup)
}

// execs runs a second process in a container, from its creation to its deletion.
func execs(ctx context.Context, b *bench, ociRuntime string) error {
	if err := b.withImage(ctx); err != nil {
		return err
	}
	sleepers := map[*daemon]*sleeper{}
	for _, d := range b.daemons {
		s, err := startSleeper(d.in(ctx), b, d, ociRuntime)
		if err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
		sleepers[d] = s
	}
	rounds, group := b.count(b.set.rounds, 3), "exec /bin/true, "+ociRuntime
	shims := map[*daemon]int{}
	before := map[*daemon]time.Duration{}
	for d, s := range sleepers {
		shim, err := shimOf(s.container.ID())
		if err != nil {
			return err
		}
		shims[d] = shim
		if before[d], err = cpuOfProcess(shim); err != nil {
			return err
		}
	}
	err := b.cpuOf(group, rounds+1, func() error {
		return b.inTurns(ctx, rounds, func(ctx context.Context, d *daemon, to *recorder) error {
			return execOnce(ctx, sleepers[d].task, to, group, b.name("exec"))
		})
	})
	for d, s := range sleepers {
		if used, read := cpuOfProcess(shims[d]); read == nil {
			b.results.add(group, "shim's CPU, each", "ms", d.name, milliseconds(used-before[d])/float64(rounds+1))
		}
		if ended := s.end(d.in(ctx)); err == nil {
			err = ended
		}
	}
	return err
}

func execOnce(ctx context.Context, task containerd.Task, to *recorder, group, id string) error {
	spec, err := task.Spec(ctx)
	if err != nil {
		return err
	}
	process := *spec.Process
	process.Args = []string{"/bin/true"}
	watch := to.watch(group)
	exec, err := task.Exec(ctx, id, &process, cio.NullIO)
	if err != nil {
		return err
	}
	watch.step("create")
	exits, err := exec.Wait(ctx)
	if err != nil {
		return err
	}
	if err := exec.Start(ctx); err != nil {
		return err
	}
	watch.step("start")
	if status := <-exits; status.Error() != nil || status.ExitCode() != 0 {
		return fmt.Errorf("exit status %d: %w", status.ExitCode(), status.Error())
	}
	watch.step("wait for exit")
	if _, err := exec.Delete(ctx); err != nil {
		return err
	}
	watch.step("delete")
	watch.total("create to delete")
	return nil
}
