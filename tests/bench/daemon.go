// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
)

// daemon is one of the two that are compared, with a root on a file system of its own.
type daemon struct {
	name, binary, dir string
	set               settings
	cmd               *exec.Cmd
	exited            chan struct{} // closed when cmd has been reaped
	client            *containerd.Client
	image             containerd.Image
}

// newDaemon takes "BINARY,FOLDER" apart; nothing runs yet.
func newDaemon(name, place string, set settings) (*daemon, error) {
	binary, dir, found := strings.Cut(place, ",")
	if !found {
		return nil, fmt.Errorf("-%s is %q: want BINARY,FOLDER", name, place)
	}
	d := &daemon{name: name, binary: binary, dir: dir, set: set}
	return d, os.WriteFile(d.path("config.toml"), []byte(d.config()), 0o644)
}

func (d *daemon) path(name string) string { return filepath.Join(d.dir, name) }

// config is the same for both, but for the shim. CRI and what serves it alone are off: gantryd is not measured against their
// memory.
func (d *daemon) config() string {
	text := fmt.Sprintf(`version = 3
root = %q
state = %q
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime",
  "io.containerd.podsandbox.controller.v1.podsandbox", "io.containerd.nri.v1.nri"]
[grpc]
  address = %q
[plugins.'io.containerd.internal.v1.opt']
  path = %q
`, d.path("root"), d.path("state"), d.socket(), d.path("opt"))
	if d.name != "gantryd" || d.set.underContainerd {
		return text
	}
	instead := ""
	if d.set.ownShim != "" {
		instead = fmt.Sprintf("%q = %q", runcRuntime, d.set.ownShim)
	}
	return text + fmt.Sprintf("[plugins.'io.containerd.shim.v1.manager']\nruntimes = {%s}\n", instead)
}

func (d *daemon) socket() string { return d.path("d.sock") }

// start runs the daemon and returns once it has answered a call, with the time that took.
func (d *daemon) start(ctx context.Context) (time.Duration, error) {
	log, err := os.OpenFile(d.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	d.cmd = exec.Command(d.binary, "--config", d.path("config.toml"))
	shims := d.set.shimDir
	if d.name == "gantryd" && d.set.underContainerd {
		shims = filepath.Dir(d.set.ownShim)
	}
	d.cmd.Env = append(os.Environ(), "PATH="+shims+":"+os.Getenv("PATH"))
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's interrupt is ours to handle
	began := time.Now()
	if err := d.cmd.Start(); err != nil {
		return 0, err
	}
	d.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait()
		close(exited)
	}(d.cmd, d.exited)
	return d.untilServing(ctx, began)
}

func (d *daemon) untilServing(ctx context.Context, began time.Time) (time.Duration, error) {
	for time.Since(began) < 30*time.Second {
		select {
		case <-d.exited:
			return 0, fmt.Errorf("%s ended: %s; see its log:\n%s", d.name, d.cmd.ProcessState, d.logTail())
		default:
		}
		if d.connect() == nil {
			if _, err := d.client.Version(ctx); err == nil {
				return time.Since(began), nil
			}
		}
		time.Sleep(time.Millisecond)
	}
	return 0, fmt.Errorf("%s does not serve; its log:\n%s", d.name, d.logTail())
}

// connect replaces the client: one that has waited for a dead daemon waits longer each time.
func (d *daemon) connect() error {
	if d.client != nil {
		d.client.Close()
		d.client = nil
	}
	if _, err := os.Stat(d.socket()); err != nil {
		return err
	}
	client, err := containerd.New(d.socket(), containerd.WithTimeout(time.Second))
	if err == nil {
		d.client = client
	}
	return err
}

// stop asks the daemon to end; containers go on.
func (d *daemon) stop() error {
	if d.cmd == nil {
		return nil
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.exited:
	case <-time.After(15 * time.Second):
		_ = d.cmd.Process.Kill()
		<-d.exited
		return fmt.Errorf("%s outlived SIGTERM", d.name)
	}
	_ = os.Remove(d.socket())
	d.cmd = nil
	return nil
}

func (d *daemon) logTail() string {
	text, _ := os.ReadFile(d.path("log"))
	return string(text[max(0, len(text)-2000):])
}

// in is a context in the namespace of the run, unlike the other daemon's: both use the same folder for the OCI
// runtime's state, which is named after it.
func (d *daemon) in(ctx context.Context) context.Context {
	return namespaces.WithNamespace(ctx, d.set.cgroup+"-"+d.name)
}

// memory is what the daemon occupies, in bytes.
type memory struct{ pss, anonymous float64 }

func (d *daemon) memory() (memory, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", d.cmd.Process.Pid))
	if err != nil {
		return memory{}, err
	}
	defer file.Close()
	var m memory
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) != 3 {
			continue
		}
		kib, _ := strconv.ParseFloat(fields[1], 64)
		switch fields[0] {
		case "Pss:":
			m.pss = kib * 1024
		case "Anonymous:":
			m.anonymous = kib * 1024
		}
	}
	return m, nil
}

// cpuTime is what the daemon itself has used, and what those of its children used that ended.
type cpuTime struct{ own, children time.Duration }

func (d *daemon) cpu() (cpuTime, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.cmd.Process.Pid))
	if err != nil {
		return cpuTime{}, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	ticks := func(i int) time.Duration { // of 10 ms; a user's and a system's share stand side by side
		user, _ := strconv.ParseInt(fields[i], 10, 64)
		system, _ := strconv.ParseInt(fields[i+1], 10, 64)
		return time.Duration(user+system) * 10 * time.Millisecond
	}
	return cpuTime{ticks(11), ticks(13)}, nil
}
