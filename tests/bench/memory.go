// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	tasks "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types/task"
)

const settle = 2 * time.Second // what was just started ends its own beginnings

// recordMemory adds what each daemon occupies now.
func (b *bench) recordMemory(group string) error {
	time.Sleep(settle)
	for _, d := range b.daemons {
		m, err := d.memory()
		if err != nil {
			return err
		}
		b.results.add(group, "anonymous", "MB", d.name, m.anonymous/1e6)
		b.results.add(group, "PSS", "MB", d.name, m.pss/1e6)
	}
	return nil
}

// idleMemory must come before all others, and starts the daemons anew on what there is.
func idleMemory(ctx context.Context, b *bench) error {
	for range b.count(3, 1) {
		if err := b.recordMemory("memory of the daemon, idle"); err != nil {
			return err
		}
		for _, d := range b.daemons {
			if err := d.stop(); err != nil {
				return err
			}
			if _, err := d.start(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// crowd gives each daemon a hundred running containers, looks at its memory and its lists, and restarts it several
// times; the containers run on.
func crowd(ctx context.Context, b *bench) error {
	if err := b.withImage(ctx); err != nil {
		return err
	}
	size := b.count(100, 3)
	sleepers := map[*daemon][]*sleeper{}
	defer func() { // they all end with the process namespace too, but cgroups do not
		for d, list := range sleepers {
			for _, s := range list {
				_ = s.end(d.in(context.WithoutCancel(ctx)))
			}
		}
	}()
	for range size {
		for _, d := range b.daemons {
			s, err := startSleeper(d.in(ctx), b, d, "runc")
			if err != nil {
				return fmt.Errorf("%s: %w", d.name, err)
			}
			sleepers[d] = append(sleepers[d], s)
		}
	}
	with := fmt.Sprintf(", %d containers", size)
	if err := b.recordMemory("memory of the daemon" + with); err != nil {
		return err
	}
	if err := listTasks(ctx, b, size, "lists"+with); err != nil {
		return err
	}
	if err := restarts(ctx, b, size, "restart"+with); err != nil {
		return err
	}
	if err := b.recordMemory("memory of the daemon after a restart" + with); err != nil {
		return err
	}
	return reload(ctx, sleepers)
}

// running counts the tasks that the daemon lists as running.
func running(ctx context.Context, d *daemon) (int, error) {
	answer, err := d.client.TaskService().List(ctx, &tasks.ListTasksRequest{})
	if err != nil {
		return 0, err
	}
	count := 0
	for _, t := range answer.Tasks {
		if t.Status == task.Status_RUNNING {
			count++
		}
	}
	return count, nil
}

func listTasks(ctx context.Context, b *bench, size int, group string) error {
	return b.inTurns(ctx, b.count(20, 2), func(ctx context.Context, d *daemon, to *recorder) error {
		watch := to.watch(group)
		count, err := running(ctx, d)
		if err != nil {
			return err
		}
		watch.step("tasks")
		if count != size {
			return fmt.Errorf("%d of %d tasks are listed as running", count, size)
		}
		_, err = d.client.ContainerService().List(ctx)
		watch.step("containers")
		return err
	})
}

// restarts measures from the start of the process until it answers, and until it lists all tasks as running.
func restarts(ctx context.Context, b *bench, size int, group string) error {
	return b.inTurns(ctx, b.count(5, 1), func(ctx context.Context, d *daemon, to *recorder) error {
		stopping := to.watch(group)
		if err := d.stop(); err != nil {
			return err
		}
		stopping.step("stop")
		began := time.Now()
		serving, err := d.start(ctx)
		if err != nil {
			return err
		}
		to.add(group, "to the first answer", "ms", milliseconds(serving))
		for time.Since(began) < time.Minute {
			count, err := running(ctx, d)
			if err != nil {
				return err
			}
			if count == size {
				to.add(group, "to the list of all tasks", "ms", milliseconds(time.Since(began)))
				return nil
			}
		}
		return fmt.Errorf("not all tasks came back after a restart")
	})
}

// reload gets containers and tasks from the daemons' present clients.
func reload(ctx context.Context, sleepers map[*daemon][]*sleeper) error {
	for d, list := range sleepers {
		for _, s := range list {
			container, err := d.client.LoadContainer(d.in(ctx), s.container.ID())
			if err != nil {
				return err
			}
			task, err := container.Task(d.in(ctx), nil)
			if err != nil {
				return err
			}
			s.container, s.task = container, task
		}
	}
	return nil
}
