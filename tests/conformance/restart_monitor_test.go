// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	introspectionapi "github.com/containerd/containerd/api/services/introspection/v1"
	taskapi "github.com/containerd/containerd/api/types/task"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/runtime/restart"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"google.golang.org/grpc/codes"
)

const (
	monitorType     = "io.containerd.monitor.container.v1"
	monitorInterval = 300 * time.Millisecond
)

// startMonitored starts a daemon that looks at its containers often.
func startMonitored(t testing.TB) *daemon {
	t.Helper()
	return startDaemon(t, daemonOptions{name: "again", config: fmt.Sprintf(
		"[plugins.'io.containerd.monitor.container.v1.restart']\ninterval = %q\n", monitorInterval)})
}

// monitored makes a container whose root file system is the host's and needs no snapshot: the monitor starts it itself.
func (e *env) monitored(args []string, container ...containerd.NewContainerOpts) *box {
	e.t.Helper()
	root, err := busyboxRoot()
	ok(e.t, err)
	b := e.newContainer(boxOptions{args: args, spec: []oci.SpecOpts{oci.WithRootFSPath(root), oci.WithRootFSReadonly()},
		container: container})
	e.t.Cleanup(b.unmonitor)
	return b
}

// unmonitor ends the interest of the monitor, and waits until a restart under way has gone by.
func (b *box) unmonitor() {
	if !b.e.running() {
		return
	}
	ctx, cancel := b.lateContext()
	defer cancel()
	ok(b.e.t, b.container.Update(ctx, restart.WithNoRestarts))
	time.Sleep(2 * monitorInterval)
}

func restartPolicy(t testing.TB, text string) containerd.NewContainerOpts {
	t.Helper()
	p, err := restart.NewPolicy(text)
	ok(t, err)
	return restart.WithPolicy(p)
}

// running waits for a running task with another pid than `not` and gives its pid.
func (b *box) running(not uint32) (pid uint32) {
	b.e.t.Helper()
	eventually(b.e.t, 20*time.Second, "it runs", func() bool {
		process, err := b.get("")
		if err != nil || process.Status != taskapi.Status_RUNNING || process.Pid == not {
			return false
		}
		pid = process.Pid
		return true
	})
	return pid
}

func (b *box) restarts() string {
	b.e.t.Helper()
	labels, err := b.container.Labels(b.e.ctx)
	ok(b.e.t, err)
	return labels[restart.CountLabel]
}

// settles checks that nothing changes while the monitor has had several looks.
func (b *box) settles(want taskapi.Status, count string) {
	b.e.t.Helper()
	for end := time.Now().Add(5 * monitorInterval); time.Now().Before(end); time.Sleep(monitorInterval / 4) {
		equal(b.e.t, "status", b.status(""), want)
	}
	equal(b.e.t, "restarts", b.restarts(), count)
}

func TestRestartMonitorIsAPlugin(t *testing.T) {
	e := newEnv(t)
	answer, err := e.introspection().Plugins(e.ctx, &introspectionapi.PluginsRequest{Filters: []string{"type==" + monitorType}})
	ok(t, err)
	equal(t, "plugins", len(answer.Plugins), 1)
	equal(t, "id", answer.Plugins[0].ID, "restart")
	equal(t, "capabilities", strings.Join(answer.Plugins[0].Capabilities, " "), "no always on-failure unless-stopped")
}

func TestRestartMonitor(t *testing.T) {
	t.Parallel()
	d := startMonitored(t)
	cases := map[string]func(e *env){
		"starts and starts again":     restartsAlways,
		"on failure":                  restartsOnFailure,
		"on failure, without failure": leavesSuccess,
		"policy no":                   leavesWithPolicyNo,
		"explicitly stopped":          leavesExplicitlyStopped,
		"stops":                       stopsWhatShouldNotRun,
		"paused":                      leavesPaused,
		"log uri":                     writesToLogURI,
		"terminal log uri":            writesTerminalToLogURI,
		"snapshot":                    restartsOnASnapshot,
		"no label":                    leavesUnlabelled,
		"one that hangs":              hangingDelaysNobody,
	}
	for name, check := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(d.env(t))
		})
	}
}

func restartsAlways(e *env) {
	b := e.monitored([]string{"sleep", "1000"}, restart.WithStatus(containerd.Running), restartPolicy(e.t, "always"))
	first := b.running(0)
	equal(e.t, "restarts", b.restarts(), "1")
	ok(e.t, syscall.Kill(int(first), syscall.SIGKILL))
	second := b.running(first)
	equal(e.t, "restarts", b.restarts(), "2")
	process, err := b.get("")
	ok(e.t, err)
	equal(e.t, "stdio", process.Stdin+process.Stdout+process.Stderr, "")
	ok(e.t, b.container.Update(e.ctx, restart.WithNoRestarts))
	ok(e.t, syscall.Kill(int(second), syscall.SIGKILL))
	eventually(e.t, 5*time.Second, "it has ended", func() bool { return b.status("") == taskapi.Status_STOPPED })
	b.settles(taskapi.Status_STOPPED, "2")
}

func restartsOnFailure(e *env) {
	b := e.monitored(sh("exit 3"), restart.WithStatus(containerd.Running), restartPolicy(e.t, "on-failure:2"))
	// What never ran has not failed.
	time.Sleep(2 * monitorInterval)
	_, err := b.get("")
	wantCode(e.t, err, codes.NotFound)
	task, err := b.container.NewTask(e.ctx, cio.NullIO)
	ok(e.t, err)
	ok(e.t, task.Start(e.ctx))
	eventually(e.t, 20*time.Second, "two restarts", func() bool { return b.restarts() == "2" })
	// The restart is counted before the old task, which has ended too, gives way to the new one.
	last := uint32(0)
	eventually(e.t, 20*time.Second, "the last one has ended", func() bool {
		process, err := b.get("")
		if err != nil || process.Status != taskapi.Status_STOPPED {
			return false
		}
		before := last
		last = process.Pid
		time.Sleep(2 * monitorInterval)
		return before == last
	})
	b.settles(taskapi.Status_STOPPED, "2")
}

func leavesSuccess(e *env) {
	b := e.monitored(sh("exit 0"), restart.WithStatus(containerd.Running), restartPolicy(e.t, "on-failure"))
	b.endOnce()
	b.settles(taskapi.Status_STOPPED, "")
}

// endOnce runs the task to its end.
func (b *box) endOnce() {
	b.e.t.Helper()
	task, err := b.container.NewTask(b.e.ctx, cio.NullIO)
	ok(b.e.t, err)
	exits, err := task.Wait(b.e.ctx)
	ok(b.e.t, err)
	ok(b.e.t, task.Start(b.e.ctx))
	waitExit(b.e.t, exits)
}

func leavesWithPolicyNo(e *env) {
	b := e.monitored(sh("exit 1"), restart.WithStatus(containerd.Running), restartPolicy(e.t, "no"))
	b.endOnce()
	b.settles(taskapi.Status_STOPPED, "")
}

func leavesExplicitlyStopped(e *env) {
	b := e.monitored([]string{"sleep", "1000"}, restart.WithStatus(containerd.Running), restartPolicy(e.t, "unless-stopped"))
	first := b.running(0)
	ok(e.t, syscall.Kill(int(first), syscall.SIGKILL))
	second := b.running(first)
	_, err := b.container.SetLabels(e.ctx, map[string]string{restart.ExplicitlyStoppedLabel: "true"})
	ok(e.t, err)
	ok(e.t, syscall.Kill(int(second), syscall.SIGKILL))
	eventually(e.t, 5*time.Second, "it has ended", func() bool { return b.status("") == taskapi.Status_STOPPED })
	b.settles(taskapi.Status_STOPPED, "2")
	_, err = b.container.SetLabels(e.ctx, map[string]string{restart.ExplicitlyStoppedLabel: "false"})
	ok(e.t, err)
	b.running(second)
}

func stopsWhatShouldNotRun(e *env) {
	b := e.monitored([]string{"sleep", "1000"}, restart.WithStatus(containerd.Running), restartPolicy(e.t, "always"))
	pid := b.running(0)
	ok(e.t, b.container.Update(e.ctx, containerd.UpdateContainerOpts(restart.WithStatus(containerd.Stopped))))
	eventually(e.t, 20*time.Second, "the task is gone", func() bool {
		_, err := b.get("")
		return err != nil && !alive(int(pid))
	})
	time.Sleep(3 * monitorInterval)
	_, err := b.get("")
	wantCode(e.t, err, codes.NotFound)
	equal(e.t, "restarts", b.restarts(), "1")
}

func leavesPaused(e *env) {
	b := e.monitored([]string{"sleep", "1000"}, restart.WithStatus(containerd.Running), restartPolicy(e.t, "always"))
	b.running(0)
	task, err := b.container.Task(e.ctx, nil)
	ok(e.t, err)
	ok(e.t, task.Pause(e.ctx))
	b.settles(taskapi.Status_PAUSED, "1")
	ok(e.t, task.Resume(e.ctx))
}

func readsLog(e *env, path, want string) {
	e.t.Helper()
	eventually(e.t, 20*time.Second, "the log", func() bool {
		text, _ := os.ReadFile(path)
		return strings.Count(string(text), want) >= 2
	})
}

func writesToLogURI(e *env) {
	path := filepath.Join(e.t.TempDir(), "log")
	e.monitored(sh("echo said; echo complained >&2"), restart.WithStatus(containerd.Running), restartPolicy(e.t, "always"),
		restart.WithLogURI(&url.URL{Scheme: "file", Path: path}))
	readsLog(e, path, "said\n")
	readsLog(e, path, "complained\n")
}

// writesTerminalToLogURI: stock shims give a terminal's output to programs alone.
func writesTerminalToLogURI(e *env) {
	dir := e.t.TempDir()
	path, logger := filepath.Join(dir, "log"), filepath.Join(dir, "logger")
	ok(e.t, os.WriteFile(logger, []byte(fmt.Sprintf("#!/bin/sh\nexec 5>&-\ncat <&3 >> %s\n", path)), 0o755))
	root, err := busyboxRoot()
	ok(e.t, err)
	b := e.newContainer(boxOptions{args: sh("test -t 1 && echo is a terminal"),
		spec: []oci.SpecOpts{oci.WithRootFSPath(root), oci.WithRootFSReadonly(), oci.WithTTY},
		container: []containerd.NewContainerOpts{restart.WithStatus(containerd.Running), restartPolicy(e.t, "always"),
			restart.WithLogURIString("binary://" + logger)}})
	e.t.Cleanup(b.unmonitor)
	readsLog(e, path, "is a terminal\r\n")
}

func restartsOnASnapshot(e *env) {
	held := e.held()
	root, err := busyboxRoot()
	ok(e.t, err)
	mounts, err := e.client.SnapshotService("overlayfs").Prepare(held.ctx, "work", "")
	ok(e.t, err)
	ok(e.t, mount.WithTempMount(held.ctx, mounts, func(dir string) error {
		return exec.Command("cp", "-a", root+"/.", dir).Run()
	}))
	b := e.newContainer(boxOptions{args: sh("echo x >> /count; sleep 1000"), container: []containerd.NewContainerOpts{
		containerd.WithSnapshotter("overlayfs"), containerd.WithSnapshot("work"),
		restart.WithStatus(containerd.Running), restartPolicy(e.t, "always")}})
	e.t.Cleanup(b.unmonitor)
	written := func(pid uint32) string {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/root/count", pid))
		return string(text)
	}
	first := b.running(0)
	eventually(e.t, 10*time.Second, "the first has written", func() bool { return written(first) == "x\n" })
	ok(e.t, syscall.Kill(int(first), syscall.SIGKILL))
	second := b.running(first)
	// What the first one wrote is still there.
	eventually(e.t, 10*time.Second, "both have written", func() bool { return written(second) == "x\nx\n" })
}

func leavesUnlabelled(e *env) {
	b := e.monitored(sh("exit 1"), restartPolicy(e.t, "always"))
	b.endOnce()
	b.settles(taskapi.Status_STOPPED, "")
}

// hangingDelaysNobody: one container's OCI runtime hangs while the others are watched on.
func hangingDelaysNobody(e *env) {
	gantryOnly(e.t, "no container is looked at again before all restarts of a pass are done")
	options, started, gate := slowRunc(e.t, "create")
	root, err := busyboxRoot()
	ok(e.t, err)
	stuck := e.newContainer(boxOptions{args: []string{"sleep", "1000"}, options: options,
		spec:      []oci.SpecOpts{oci.WithRootFSPath(root), oci.WithRootFSReadonly()},
		container: []containerd.NewContainerOpts{restart.WithStatus(containerd.Running), restartPolicy(e.t, "always")}})
	e.t.Cleanup(stuck.unmonitor)
	eventually(e.t, 10*time.Second, "the runtime creates", func() bool { return exists(started) })
	restartsAlways(e)
	equal(e.t, "restarts of the stuck one", stuck.restarts(), "1")
	ok(e.t, os.Remove(gate))
	stuck.running(0)
}

func TestRestartMonitorAfterTheDaemonsRestart(t *testing.T) {
	t.Parallel()
	d := startMonitored(t)
	e := d.env(t)
	gone := e.monitored([]string{"sleep", "1000"}, restart.WithStatus(containerd.Running), restartPolicy(t, "always"))
	kept := e.monitored([]string{"sleep", "1000"}, restart.WithStatus(containerd.Running), restartPolicy(t, "always"))
	first, stays := gone.running(0), kept.running(0)
	d.kill()
	ok(t, syscall.Kill(int(first), syscall.SIGKILL))
	d.restart(t)
	gone.running(first)
	equal(t, "restarts", gone.restarts(), "2")
	process, err := kept.get("")
	ok(t, err)
	equal(t, "pid of the one that ran on", process.Pid, stays)
	equal(t, "restarts", kept.restarts(), "1")
}
