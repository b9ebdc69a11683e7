// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestL188_SocketOwnerIsInherited(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "own", config: "[grpc]\nuid = 1234\ngid = 2345\n"})
	eventually(t, 5*time.Second, "the ttrpc socket is there", func() bool { return exists(d.socket + ".ttrpc") })
	wantOwner(t, d.socket, 0o660, 1234, 2345)
	wantOwner(t, d.socket+".ttrpc", 0o660, 1234, 2345)
}

func TestL191_ContentProxy(t *testing.T) {
	t.Parallel()
	p := startProxysnap(t, "native", "content")
	config := fmt.Sprintf("[proxy_plugins.remote]\ntype = 'content'\naddress = %q\n", p.socket())
	d := startDaemon(t, daemonOptions{name: "proxied", config: config, disable: []string{"io.containerd.content.v1.content"}})
	e := d.env(t).held()
	dgst := e.blob("remote", map[string]string{"k": "v"})
	chunks, err := e.read(dgst, 0, 0)
	ok(t, err)
	equal(t, "data", joined(chunks), "remote")
	equal(t, "file in the proxy", exists(filepath.Join(p.dir, "r", "content", "blobs", "sha256", dgst[7:])), true)
	equal(t, "file in the daemon's root", exists(d.blobPath(dgst)), false)
	e.deleteBlob(dgst)
	e.gc()
	equal(t, "file in the proxy", exists(filepath.Join(p.dir, "r", "content", "blobs", "sha256", dgst[7:])), false)
}

// TestL191_TwoContentStores: either the daemon refuses to start, or it says which plugin failed and why.
func TestL191_TwoContentStores(t *testing.T) {
	t.Parallel()
	d, err := newDaemon(daemonOptions{name: "two", config: "[proxy_plugins.remote]\ntype = 'content'\naddress = '/nowhere.sock'\n"})
	ok(t, err)
	ok(t, d.spawn())
	eventually(t, 20*time.Second, "a word about content", func() bool {
		for _, line := range strings.Split(d.logTail(1<<20), "\n") {
			if (strings.Contains(line, "error") || strings.Contains(line, "warn")) && strings.Contains(line, "content.v1") {
				return true
			}
		}
		return false
	})
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.exited:
	case <-time.After(scaled(10 * time.Second)):
		d.kill()
		t.Error("it outlived SIGTERM")
	}
}

func TestL192_Readiness(t *testing.T) {
	t.Parallel()
	address := filepath.Join(run.work, fmt.Sprintf("n%d", daemonSeq.Add(1)))
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	ok(t, err)
	defer notify.Close()
	d, err := newDaemon(daemonOptions{name: "ready", env: []string{"NOTIFY_SOCKET=" + address}})
	ok(t, err)
	ok(t, d.spawn())
	defer d.kill()
	read := func() string {
		buffer := make([]byte, 4096)
		ok(t, notify.SetReadDeadline(time.Now().Add(scaled(20*time.Second))))
		n, err := notify.Read(buffer)
		ok(t, err)
		return string(buffer[:n])
	}
	wait := func(word string) {
		t.Helper()
		for !strings.Contains(read(), word) {
		}
	}
	wait("READY=1")
	for _, socket := range []string{d.socket, d.socket + ".ttrpc"} {
		conn, err := net.Dial("unix", socket)
		ok(t, err)
		conn.Close()
	}
	ok(t, d.cmd.Process.Signal(syscall.SIGTERM))
	wait("STOPPING=1")
	<-d.exited
	equal(t, "exit code", d.cmd.ProcessState.ExitCode(), 0)
}

func TestL192_StackDump(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "dump"})
	ok(t, d.cmd.Process.Signal(syscall.SIGUSR1))
	pattern := filepath.Join(d.dir, "tmp", fmt.Sprintf("*.%d.stacks.log", d.pid()))
	eventually(t, 5*time.Second, "a file of stacks", func() bool {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) != 1 {
			return false
		}
		info, err := os.Stat(found[0])
		return err == nil && info.Size() > 0
	})
	ok(t, d.cmd.Process.Signal(syscall.SIGPIPE))
	_, err := d.client.Version(d.env(t).ctx)
	ok(t, err)
}

// freePort picks a port of the private loopback.
func freePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func fetch(t testing.TB, client *http.Client, url string) (int, string) {
	t.Helper()
	response, err := client.Get(url)
	ok(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	ok(t, err)
	return response.StatusCode, string(body)
}

func TestL193_Metrics(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	d := startDaemon(t, daemonOptions{name: "met", config: fmt.Sprintf("[metrics]\naddress = '127.0.0.1:%d'\n", port)})
	e := d.env(t)
	e.image("i", someDigest, nil)
	e.gc()
	var text string
	eventually(t, 5*time.Second, "all series are there", func() bool {
		var code int
		code, text = fetch(t, http.DefaultClient, fmt.Sprintf("http://127.0.0.1:%d/v1/metrics", port))
		return code == 200 && strings.Contains(text, "containerd_gc_collections_total")
	})
	for _, series := range []string{
		`grpc_server_started_total{`, `grpc_server_handled_total{`, `grpc_server_msg_received_total{`,
		`grpc_server_msg_sent_total{`, `grpc_service="containerd.services.images.v1.Images"`,
		`containerd_gc_collections_total{status="success"}`, `containerd_gc_gc_seconds`, `containerd_build_info_total{`,
	} {
		if !strings.Contains(text, series) {
			t.Errorf("no %s", series)
		}
	}
}

func TestDebugServer(t *testing.T) {
	t.Parallel()
	d, err := newDaemon(daemonOptions{name: "dbg"})
	ok(t, err)
	socket := filepath.Join(d.dir, "d.sock")
	d.opts.config = fmt.Sprintf("[debug]\naddress = %q\n", socket)
	ok(t, d.writeConfig())
	ok(t, d.start())
	defer d.stop(t)
	client := &http.Client{Transport: &http.Transport{
		Dial: func(string, string) (net.Conn, error) { return net.Dial("unix", socket) }, DisableKeepAlives: true}}
	code, text := fetch(t, client, "http://debug/debug/vars")
	equal(t, "code", code, 200)
	if !strings.HasPrefix(strings.TrimSpace(text), "{") {
		t.Errorf("not JSON: %.100s", text)
	}
	code, _ = fetch(t, client, "http://debug/debug/pprof/")
	if code != 200 && code != 501 {
		t.Errorf("pprof answers %d", code)
	}
	wantOwner(t, socket, 0o660, 0, 0)
}

func TestVersionFlag(t *testing.T) {
	t.Parallel()
	d := &daemon{dir: t.TempDir()}
	out, err := d.command("--version").Output()
	ok(t, err)
	if !strings.Contains(string(out), run.daemon) && !strings.Contains(string(out), "gantry") {
		t.Errorf("printed %q", out)
	}
}

// TestL192_Termination stops the daemon while streams are open and clients call.
func TestL192_Termination(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "term"})
	e := d.env(t)
	e.subscribe()
	w := e.openWriter("ref", 0, "")
	w.mustWrite("data", 0)
	start := time.Now()
	d.stop(t)
	if took := time.Since(start); took > scaled(10*time.Second) {
		t.Errorf("took %v to end", took)
	}
	d.restart(t)
	status, err := e.status("ref")
	ok(t, err)
	equal(t, "offset", status.Offset, 4)
}

func TestSecondDaemonOnOneRoot(t *testing.T) {
	gantryOnly(t, "a second daemon waits for the lock for ever")
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "first"})
	second, err := newDaemon(daemonOptions{name: "second"})
	ok(t, err)
	second.root = d.root
	ok(t, second.writeConfig())
	ok(t, second.spawn())
	select {
	case <-second.exited:
		equal(t, "exit code is 0", second.cmd.ProcessState.ExitCode() == 0, false)
	case <-time.After(scaled(60 * time.Second)):
		second.kill()
		t.Error("it waits for ever")
	}
	_, err = d.client.Version(d.env(t).ctx)
	ok(t, err)
}

// TestFolderModes: other users of the host reach nothing of images and containers.
func TestFolderModes(t *testing.T) {
	t.Parallel()
	d, err := newDaemon(daemonOptions{name: "mode"})
	ok(t, err)
	for _, dir := range []string{d.root, d.state} {
		ok(t, os.Chmod(dir, 0o755))
	}
	ok(t, d.start())
	defer d.stop(t)
	d.env(t).held().layer("base", "", nil)
	modes := map[string]os.FileMode{d.root: 0o700, d.pluginDir("io.containerd.snapshotter.v1.overlayfs"): 0o700}
	if run.daemon == "gantryd" { // containerd lets a state folder be that is there, and relies on the root's mode
		modes[d.state], modes[d.pluginDir("io.containerd.metadata.v1.bolt")] = 0o711, 0o700
	}
	for path, want := range modes {
		info, err := os.Stat(path)
		ok(t, err)
		equal(t, "mode of "+path, info.Mode().Perm(), want)
	}
}
