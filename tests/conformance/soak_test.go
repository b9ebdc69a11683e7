// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
)

// usage is what a process holds.
type usage struct {
	fds       int
	anonymous int // kB
}

func usageOf(t testing.TB, pid int) usage {
	t.Helper()
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	ok(t, err)
	rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	ok(t, err)
	for _, line := range strings.Split(string(rollup), "\n") {
		if rest, found := strings.CutPrefix(line, "Anonymous:"); found {
			kilobytes, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			ok(t, err)
			return usage{fds: len(fds), anonymous: kilobytes}
		}
	}
	t.Fatalf("process %d: no anonymous memory in smaps_rollup", pid)
	return usage{}
}

// soakRounds is short where the whole suite runs; GANTRY_SOAK_ROUNDS asks for more.
func soakRounds(t testing.TB) int {
	rounds, err := strconv.Atoi(envOr("GANTRY_SOAK_ROUNDS", "60"))
	ok(t, err)
	if rounds < 3 {
		t.Fatalf("GANTRY_SOAK_ROUNDS is %d: want at least 3", rounds)
	}
	return rounds
}

// TestS060_S146_Soak lets containers come and go in one shim, kept by a container that stays. What the shim and the
// daemon hold after a third of the rounds they hold at the end.
func TestS060_S146_Soak(t *testing.T) {
	rounds := soakRounds(t)
	d := startDaemon(t, daemonOptions{name: "soak"})
	e := d.env(t)
	keeper := e.grouped("soak")
	group := []oci.SpecOpts{oci.WithAnnotations(map[string]string{"io.containerd.runc.v2.group": "soak"})}
	shims := d.shims()
	equal(t, "shims", len(shims), 1)
	var shim int
	for shim = range shims {
	}
	ofShim, ofDaemon := usage{}, usage{}
	for round := 1; round <= rounds; round++ {
		b := e.run(boxOptions{args: []string{"sleep", "1000"}, io: cio.NullIO, spec: group})
		process, exits := b.exec("e", cio.NullIO, "true")
		equal(t, "exec", waitExit(t, exits), 0)
		_, err := process.Delete(e.ctx)
		ok(t, err)
		b.finish()
		if round == rounds/3 {
			ofShim, ofDaemon = usageOf(t, shim), usageOf(t, d.pid())
		}
	}
	shimNow, daemonNow := usageOf(t, shim), usageOf(t, d.pid())
	t.Logf("after %d of %d rounds: shim %+v, daemon %+v; in the end: shim %+v, daemon %+v", rounds/3, rounds, ofShim, ofDaemon,
		shimNow, daemonNow)
	if daemonNow.fds > ofDaemon.fds+4 { // the database's readers and the workers' epolls come and go
		t.Errorf("fds of the daemon: %d, were %d", daemonNow.fds, ofDaemon.fds)
	}
	// What other shims do with theirs is not ours to judge.
	if binary, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", shim)); err != nil {
		t.Error(err)
	} else if filepath.Base(binary) == "containerd-shim-gantry-v2" {
		equal(t, "fds of the shim", shimNow.fds, ofShim.fds)
		// A sanitizer keeps what is freed for a while, and looks for leaks itself.
		sanitized := linksAnyOf(t, fmt.Sprintf("/proc/%d/exe", shim), "libtsan", "libasan")
		if !sanitized && shimNow.anonymous > ofShim.anonymous+ofShim.anonymous/10 {
			t.Errorf("anonymous memory of the shim: %d kB, was %d kB", shimNow.anonymous, ofShim.anonymous)
		}
	}
	keeper.finish()
}
