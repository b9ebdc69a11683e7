// SPDX-License-Identifier: Apache-2.0

// Bench measures gantryd and containerd side by side: the same client, shim, OCI runtime and kind of disk, in turns.
// It is started by the script "run", which gives it namespaces and file systems of its own.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
)

// settings of one run, from the command line.
type settings struct {
	rounds   int    // how often a container is run by each daemon; other counts follow from it
	quick    bool   // few of everything: shows that all works
	only     string // regular expression over names of measurements
	jsonFile string // where results go as JSON, besides the table
	work     string // folder on a disk that no daemon uses
	cgroup   string // name of the cgroups' parent, and of the containerd namespace
	shimDir  string // goes first on the daemons' PATH
	ownShim  string // what gantryd runs in the place of that shim; empty: that shim too
	// In gantryd's place stands a second containerd, which finds ownShim under the stock shim's name.
	underContainerd bool
	makeImage       string // path of the script that makes and pushes images
	registry        string // address of the registry on loopback
	keepLogs        string // folder for the daemons' logs
}

func main() {
	var set settings
	flag.IntVar(&set.rounds, "rounds", 40, "containers that each daemon runs one after the other")
	flag.BoolVar(&set.quick, "quick", false, "few of everything; the figures mean little")
	flag.StringVar(&set.only, "only", "", "regular expression: take only these measurements")
	flag.StringVar(&set.jsonFile, "json", "", "also write the results to this file")
	flag.StringVar(&set.keepLogs, "keep-logs", "", "leave the daemons' logs in this folder")
	flag.StringVar(&set.work, "work", "", "set by the script")
	flag.StringVar(&set.cgroup, "cgroup", "bench", "set by the script")
	flag.StringVar(&set.shimDir, "shim-dir", "", "set by the script")
	flag.StringVar(&set.ownShim, "gantryd-shim", "", "set by the script")
	flag.BoolVar(&set.underContainerd, "under-containerd", false, "set by the script")
	flag.StringVar(&set.makeImage, "make-image", "", "set by the script")
	flag.StringVar(&set.registry, "registry", "127.0.0.1:5000", "set by the script")
	gantryd := flag.String("gantryd", "", "set by the script: BINARY,FOLDER")
	containerd := flag.String("containerd", "", "set by the script: BINARY,FOLDER")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := measure(ctx, set, *gantryd, *containerd); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// measure takes all measurements that were asked for and reports what it has, even after an error.
func measure(ctx context.Context, set settings, places ...string) error {
	wanted, err := regexp.Compile(set.only)
	if err != nil {
		return err
	}
	b := &bench{set: set, results: newResults()}
	if set.underContainerd {
		b.results.first = "own shim"
	}
	for i, name := range []string{"gantryd", "containerd"} {
		d, err := newDaemon(name, places[i], set)
		if err != nil {
			return err
		}
		b.daemons = append(b.daemons, d)
	}
	defer b.stopAll()
	if err := b.prepare(ctx); err != nil {
		return err
	}
	var failed error
	for _, m := range measurements {
		if !wanted.MatchString(m.name) {
			continue
		}
		fmt.Fprintln(os.Stderr, "bench:", m.name)
		if err := m.take(ctx, b); err != nil {
			failed = fmt.Errorf("%s: %w", m.name, err)
			break
		}
	}
	b.results.print(os.Stdout)
	if set.jsonFile != "" {
		if err := b.results.writeJSON(set.jsonFile, b.facts(ctx)); err != nil {
			return err
		}
	}
	return failed
}

// measurements in the order they are taken: memory first, while the daemons have done nothing.
var measurements = []struct {
	name string
	take func(context.Context, *bench) error
}{
	{"idle memory", idleMemory},
	{"records", records},
	{"ingest", ingest},
	{"run runc", func(ctx context.Context, b *bench) error { return runContainers(ctx, b, "runc") }},
	{"run crun", func(ctx context.Context, b *bench) error { return runContainers(ctx, b, "crun") }},
	{"exec runc", func(ctx context.Context, b *bench) error { return execs(ctx, b, "runc") }},
	{"exec crun", func(ctx context.Context, b *bench) error { return execs(ctx, b, "crun") }},
	{"added runc", func(ctx context.Context, b *bench) error { return addedToRuntime(ctx, b, "runc") }},
	{"added crun", func(ctx context.Context, b *bench) error { return addedToRuntime(ctx, b, "crun") }},
	{"logs", logs},
	{"parallel runc", func(ctx context.Context, b *bench) error { return runParallel(ctx, b, "runc") }},
	{"parallel crun", func(ctx context.Context, b *bench) error { return runParallel(ctx, b, "crun") }},
	{"pull", pull},
	{"crowd", crowd},
}
