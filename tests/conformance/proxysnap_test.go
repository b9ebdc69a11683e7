// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"conformance/internal/proxy"
)

// proxysnap is one external plugin process and the folder through which it is given faults.
type proxysnap struct {
	t      testing.TB
	dir    string
	driver string
	serve  string
	cmd    *exec.Cmd
}

// newProxysnap lays out the folders; the process does not run yet.
func newProxysnap(t testing.TB, driver, serve string) *proxysnap {
	t.Helper()
	// The socket must have a short path, so the folder lies directly in the work folder.
	p := &proxysnap{t: t, dir: filepath.Join(run.work, fmt.Sprintf("p%d", daemonSeq.Add(1))), driver: driver, serve: serve}
	ok(t, os.MkdirAll(filepath.Join(p.dir, "faults"), 0o755))
	t.Cleanup(p.stop)
	return p
}

func startProxysnap(t testing.TB, driver, serve string) *proxysnap {
	t.Helper()
	p := newProxysnap(t, driver, serve)
	p.start()
	return p
}

func (p *proxysnap) socket() string { return filepath.Join(p.dir, "p.sock") }

// start runs the test binary in the role of cmd/proxysnap.
func (p *proxysnap) start() {
	p.t.Helper()
	p.cmd = exec.Command("/proc/self/exe", roleProxysnap, "-socket", p.socket(), "-root", filepath.Join(p.dir, "r"),
		"-faults", filepath.Join(p.dir, "faults"), "-driver", p.driver, "-serve", p.serve)
	log, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	ok(p.t, err)
	defer log.Close()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	ok(p.t, p.cmd.Start())
	eventually(p.t, 10e9, "proxysnap listens", func() bool { return exists(p.socket()) })
}

func (p *proxysnap) stop() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	p.cmd = nil
	_ = os.Remove(p.socket())
}

// order puts a fault on a method until the returned function is called.
func (p *proxysnap) order(method string, fault proxy.Fault) func() {
	p.t.Helper()
	text, err := json.Marshal(fault)
	ok(p.t, err)
	path := filepath.Join(p.dir, "faults", method)
	ok(p.t, os.WriteFile(path+".new", text, 0o644))
	ok(p.t, os.Rename(path+".new", path))
	p.t.Cleanup(func() { os.Remove(path) })
	return func() { os.Remove(path) }
}

// hangs tells whether a call has come to hang in a method.
func (p *proxysnap) hangs(method string) bool {
	return exists(filepath.Join(p.dir, "faults", method+".reached"))
}

// calls returns the logged calls of one method.
func (p *proxysnap) calls(method string) []proxy.Call {
	p.t.Helper()
	f, err := os.Open(filepath.Join(p.dir, "faults", "calls"))
	if os.IsNotExist(err) {
		return nil
	}
	ok(p.t, err)
	defer f.Close()
	var found []proxy.Call
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var call proxy.Call
		ok(p.t, json.Unmarshal(lines.Bytes(), &call))
		if call.Method == method {
			found = append(found, call)
		}
	}
	return found
}

// config is the daemon's configuration for this proxy as a snapshotter called "proxied".
func (p *proxysnap) config() string {
	return fmt.Sprintf("[proxy_plugins.proxied]\ntype = \"snapshot\"\naddress = %q\n"+
		"[proxy_plugins.proxied.exports]\nsite = \"conformance\"\n", p.socket())
}
