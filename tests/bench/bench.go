// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/leases"
)

// bench is one run: two daemons and what was measured.
type bench struct {
	set     settings
	daemons []*daemon
	results *results
	serial  int // makes names unique
}

// prepare starts both daemons.
func (b *bench) prepare(ctx context.Context) error {
	for _, d := range b.daemons {
		if _, err := d.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) stopAll() {
	for _, d := range b.daemons {
		if err := d.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
		if b.set.keepLogs != "" {
			text, _ := os.ReadFile(d.path("log"))
			_ = os.WriteFile(filepath.Join(b.set.keepLogs, d.name+".log"), text, 0o644)
		}
	}
}

// count is n, or with -quick the little that shows that it works.
func (b *bench) count(n, quick int) int {
	if b.set.quick {
		return quick
	}
	return n
}

func (b *bench) name(kind string) string {
	b.serial++
	return fmt.Sprintf("%s%d", kind, b.serial)
}

// inTurns lets both daemons do the same, rounds times, and changes who is first: what drifts on the machine meets both
// alike. A round before the first is not recorded.
func (b *bench) inTurns(ctx context.Context, rounds int, round func(context.Context, *daemon, *recorder) error) error {
	for i := -1; i < rounds; i++ {
		for turn := range b.daemons {
			d := b.daemons[(turn+i+2)%len(b.daemons)]
			to := &recorder{daemon: d.name}
			if i >= 0 {
				to.results = b.results
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := round(d.in(ctx), d, to); err != nil {
				return fmt.Errorf("%s: %w", d.name, err)
			}
		}
	}
	return nil
}

// cpuOf records the processor time per unit of work that each daemon uses during body. Children are the programs that
// a daemon runs itself and waits for: a shim's start, or containerd's unpigz; no shim and no OCI runtime.
func (b *bench) cpuOf(group string, units int, body func() error) error {
	before := map[*daemon]cpuTime{}
	for _, d := range b.daemons {
		used, err := d.cpu()
		if err != nil {
			return err
		}
		before[d] = used
	}
	if err := body(); err != nil {
		return err
	}
	for _, d := range b.daemons {
		used, err := d.cpu()
		if err != nil {
			return err
		}
		own, children := used.own-before[d].own, used.children-before[d].children
		b.results.add(group, "daemon's CPU, each", "ms", d.name, milliseconds(own)/float64(units))
		b.results.add(group, "its children's CPU, each", "ms", d.name, milliseconds(children)/float64(units))
	}
	return nil
}

// withImage pushes a small image once and lets each daemon pull it.
func (b *bench) withImage(ctx context.Context) error {
	for _, d := range b.daemons {
		if d.image != nil {
			continue
		}
		ref := b.set.registry + "/bench/busybox:1"
		if out, err := exec.Command(b.set.makeImage, "--push", "--ref", ref).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", b.set.makeImage, err, out)
		}
		image, err := d.client.Pull(d.in(ctx), ref, containerd.WithPullUnpack, containerd.WithResolver(plainResolver()))
		if err != nil {
			return fmt.Errorf("%s: pull: %w", d.name, err)
		}
		d.image = image
	}
	return nil
}

// collect removes what nothing refers to, outside of what is measured.
func (d *daemon) collect(ctx context.Context) error {
	lease, err := d.client.LeasesService().Create(ctx, leases.WithRandomID())
	if err != nil {
		return err
	}
	return d.client.LeasesService().Delete(ctx, lease, leases.SynchronousDelete)
}

// facts are what a reader of the JSON needs to judge it.
func (b *bench) facts(ctx context.Context) map[string]string {
	facts := map[string]string{"time": time.Now().UTC().Format(time.RFC3339)}
	for _, d := range b.daemons {
		if d.client == nil {
			continue
		}
		if version, err := d.client.Version(ctx); err == nil {
			facts[d.name] = version.Version
		}
	}
	for name, args := range map[string][]string{"runc": {"--version"}, "crun": {"--version"}, "uname": {"-sr"}, "nproc": nil} {
		if out, err := exec.Command(name, args...).Output(); err == nil {
			facts[name] = firstLine(string(out))
		}
	}
	return facts
}
