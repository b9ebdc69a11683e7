// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"golang.org/x/sys/unix"
)

// directRun is an OCI runtime that runs a bundle without any daemon.
type directRun struct {
	runtime, root, bundle string
}

// newDirectRun makes a bundle with the spec that a container of the daemon would have.
func newDirectRun(ctx context.Context, b *bench, d *daemon, ociRuntime string) (*directRun, error) {
	dir := filepath.Join(b.set.work, b.name("direct"))
	r := &directRun{runtime: ociRuntime, root: filepath.Join(dir, "state"), bundle: filepath.Join(dir, "bundle")}
	for _, folder := range []string{"bin", "proc", "sys", "dev", "run", "etc"} {
		if err := os.MkdirAll(filepath.Join(r.bundle, "rootfs", folder), 0o755); err != nil {
			return nil, err
		}
	}
	if out, err := exec.Command("cp", "/bin/busybox", filepath.Join(r.bundle, "rootfs/bin/true")).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	container, err := newContainer(ctx, b, d, (&recorder{}).watch(""), ociRuntime, b.name("spec"), "/bin/true")
	if err != nil {
		return nil, err
	}
	spec, err := container.Spec(ctx)
	if err != nil {
		return nil, err
	}
	spec.Root.Path = "rootfs"
	spec.Linux.CgroupsPath = "/" + b.set.cgroup + "/direct"
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(r.bundle, "config.json"), text, 0o644); err != nil {
		return nil, err
	}
	return r, container.Delete(ctx, containerd.WithSnapshotCleanup)
}

func (r *directRun) command(args ...string) error {
	command := exec.Command(r.runtime, append([]string{"--root", r.root}, args...)...)
	if err := command.Run(); err != nil { // its streams are /dev/null, as with null IO
		return fmt.Errorf("%s %s: %w", r.runtime, args[0], err)
	}
	return nil
}

// once gives the time of the runtime's own commands, without what passes between them.
func (r *directRun) once(id string) (time.Duration, error) {
	pidFile := filepath.Join(r.bundle, "pid")
	began := time.Now()
	if err := r.command("create", "--bundle", r.bundle, "--pid-file", pidFile, id); err != nil {
		return 0, err
	}
	took := time.Since(began)
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, err
	}
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(process)
	began = time.Now()
	if err := r.command("start", id); err != nil {
		return 0, err
	}
	took += time.Since(began)
	ended := []unix.PollFd{{Fd: int32(process), Events: unix.POLLIN}}
	for ended[0].Revents == 0 {
		if _, err := unix.Poll(ended, 10000); err != nil && err != unix.EINTR {
			return 0, err
		}
	}
	began = time.Now()
	if err := r.command("delete", id); err != nil {
		return 0, err
	}
	return took + time.Since(began), nil
}

// addedToRuntime tells what daemon and shim add to a task's life: from its creation to its deletion, less what the OCI
// runtime's own commands took just before.
func addedToRuntime(ctx context.Context, b *bench, ociRuntime string) error {
	if err := b.withImage(ctx); err != nil {
		return err
	}
	direct, err := newDirectRun(b.daemons[0].in(ctx), b, b.daemons[0], ociRuntime)
	if err != nil {
		return err
	}
	group := "added to the commands of " + ociRuntime
	return b.inTurns(ctx, b.count(b.set.rounds, 3), func(ctx context.Context, d *daemon, to *recorder) error {
		alone, err := direct.once(b.name("alone"))
		if err != nil {
			return err
		}
		container, err := newContainer(ctx, b, d, (&recorder{}).watch(""), ociRuntime, b.name("added"), "/bin/true")
		if err != nil {
			return err
		}
		began := time.Now()
		if err := taskOnce(ctx, container); err != nil {
			return err
		}
		took := time.Since(began)
		to.add(group, "the runtime's own", "ms", milliseconds(alone))
		to.add(group, "the task's life", "ms", milliseconds(took))
		to.add(group, "added", "ms", milliseconds(took-alone))
		return container.Delete(ctx, containerd.WithSnapshotCleanup)
	})
}

func taskOnce(ctx context.Context, container containerd.Container) error {
	task, err := container.NewTask(ctx, cio.NullIO)
	if err != nil {
		return err
	}
	exits, err := task.Wait(ctx)
	if err != nil {
		return err
	}
	if err := task.Start(ctx); err != nil {
		return err
	}
	if status := <-exits; status.Error() != nil || status.ExitCode() != 0 {
		return fmt.Errorf("exit status %d: %w", status.ExitCode(), status.Error())
	}
	_, err = task.Delete(ctx)
	return err
}

// shimOf finds the process that serves a container.
func shimOf(id string) (int, error) {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0, err
	}
	for _, path := range lines {
		text, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(text), "containerd-shim-") && strings.Contains(string(text), "\x00"+id+"\x00") {
			return strconv.Atoi(strings.Split(path, "/")[2])
		}
	}
	return 0, fmt.Errorf("no shim of %s", id)
}

// cpuOfProcess is the processor time of all threads that it has, to the nanosecond.
func cpuOfProcess(pid int) (time.Duration, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, path := range threads {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // a thread that has just ended
		}
		first, _, _ := strings.Cut(string(text), " ")
		nanoseconds, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(nanoseconds)
	}
	return sum, nil
}

// logs lets a container write as fast as it can, into a file and to a client that drops it.
func logs(ctx context.Context, b *bench) error {
	if err := b.withImage(ctx); err != nil {
		return err
	}
	mebibytes := b.count(512, 16)
	for _, target := range []string{"to a file", "to a client"} {
		err := b.inTurns(ctx, b.count(7, 1), func(ctx context.Context, d *daemon, to *recorder) error {
			container, err := newContainer(ctx, b, d, (&recorder{}).watch(""), "runc", b.name("log"),
				"/bin/dd", "if=/dev/zero", "bs=1M", fmt.Sprint("count=", mebibytes))
			if err != nil {
				return err
			}
			file := d.path("log-of-a-container")
			creator := cio.LogFile(file)
			if target == "to a client" {
				creator = cio.NewCreator(cio.WithStreams(nil, io.Discard, io.Discard))
			}
			if err := logOnce(ctx, container, creator, to, target, mebibytes); err != nil {
				return err
			}
			if err := os.RemoveAll(file); err != nil {
				return err
			}
			return container.Delete(ctx, containerd.WithSnapshotCleanup)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func logOnce(ctx context.Context, container containerd.Container, creator cio.Creator, to *recorder, target string, mebibytes int) error {
	task, err := container.NewTask(ctx, creator)
	if err != nil {
		return err
	}
	exits, err := task.Wait(ctx)
	if err != nil {
		return err
	}
	shim, err := shimOf(container.ID())
	if err != nil {
		return err
	}
	before, err := cpuOfProcess(shim)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := task.Start(ctx); err != nil {
		return err
	}
	if status := <-exits; status.Error() != nil || status.ExitCode() != 0 {
		return fmt.Errorf("exit status %d: %w", status.ExitCode(), status.Error())
	}
	took := time.Since(began)
	after, err := cpuOfProcess(shim)
	if err != nil {
		return err
	}
	to.add("output of a container", target, "MiB/s", float64(mebibytes)/took.Seconds())
	to.add("output of a container", target+", the shim's CPU for a GiB", "ms", milliseconds(after-before)*1024/float64(mebibytes))
	_, err = task.Delete(ctx)
	return err
}
