// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"
)

// tree tells names, modes and contents of all below dir, but for the lock of who looked.
func tree(t testing.TB, dir string) string {
	t.Helper()
	var lines []string
	ok(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() == "gantryd.lock" {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%s %s", path, info.Mode())
		if info.Mode().IsRegular() && entry.Name() != "lock.mdb" {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %x", sha256.Sum256(data))
		}
		lines = append(lines, line)
		return nil
	}))
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

// mustRefuse starts the daemon, which has to end with an error that holds wanted, its root as it was.
func (d *daemon) mustRefuse(t testing.TB, wanted string) {
	t.Helper()
	ok(t, d.writeConfig())
	before := tree(t, d.root)
	ok(t, os.Truncate(d.logPath, 0))
	ok(t, d.spawn())
	select {
	case <-d.exited:
	case <-time.After(scaled(20 * time.Second)):
		d.kill()
		t.Fatalf("it runs:\n%s", d.logTail(2000))
	}
	if d.cmd.ProcessState.ExitCode() == 0 || !strings.Contains(d.logTail(1<<20), wanted) {
		t.Errorf("%s, want %q:\n%s", d.cmd.ProcessState, wanted, d.logTail(2000))
	}
	equal(t, "root", tree(t, d.root), before)
}

// plant makes a file below the root.
func (d *daemon) plant(t testing.TB, path, data string) {
	t.Helper()
	path = filepath.Join(d.root, path)
	ok(t, os.MkdirAll(filepath.Dir(path), 0o755))
	ok(t, os.WriteFile(path, []byte(data), 0o644))
}

func TestForeignRoot(t *testing.T) {
	gantryOnly(t, "adopts whatever lies in its root")
	t.Parallel()
	const blobs = "io.containerd.content.v1.content/blobs/sha256/"
	other := fmt.Sprintf("%x", sha256.Sum256([]byte("other")))
	for name, row := range map[string]struct {
		files  []string
		wanted string
	}{
		"database of containerd": {[]string{"io.containerd.metadata.v1.bolt/meta.db", blobs + other}, "belongs to containerd"},
		"blob":                   {[]string{blobs + other}, "blobs that the database does not know"},
		"snapshot":               {[]string{"io.containerd.snapshotter.v1.overlayfs/snapshots/7/fs/file"}, "snapshots that the database does not know"},
		"snapshotter of containerd": {
			[]string{"io.containerd.snapshotter.v1.native/metadata.db"}, "belongs to containerd",
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := newDaemon(daemonOptions{name: "foreign"})
			ok(t, err)
			ok(t, os.WriteFile(d.logPath, nil, 0o644))
			for _, file := range row.files {
				d.plant(t, file, "other")
			}
			d.mustRefuse(t, row.wanted)
		})
	}
}

// TestRootWithoutItsDatabase takes the database away, puts an older one in its place, and brings it back.
func TestRootWithoutItsDatabase(t *testing.T) {
	gantryOnly(t, "sweeps what its database does not know")
	t.Parallel()
	d := startDaemon(t, daemonOptions{name: "lost"})
	e := d.env(t).held()
	first := e.blob("first", nil)
	d.stop(t)
	database := filepath.Join(d.root, "io.containerd.metadata.v1.bolt", "lmdb")
	older, newer := filepath.Join(d.dir, "older"), filepath.Join(d.dir, "newer")
	ok(t, os.CopyFS(older, os.DirFS(database)))
	d.restart(t)
	second := e.blob("second", nil)
	e.layer("layer", "", nil)
	d.stop(t)
	ok(t, os.Rename(database, newer))

	d.mustRefuse(t, "blobs that the database does not know")
	ok(t, os.Rename(older, database))
	d.mustRefuse(t, "blobs that the database does not know")
	blob := filepath.Join(d.root, "io.containerd.content.v1.content/blobs/sha256", strings.TrimPrefix(second, "sha256:"))
	aside := filepath.Join(d.dir, "aside")
	ok(t, os.Rename(blob, aside))
	d.mustRefuse(t, "snapshots that the database does not know")

	ok(t, os.Rename(aside, blob))
	ok(t, os.RemoveAll(database))
	ok(t, os.Rename(newer, database))
	d.restart(t)
	equal(t, "first", e.hasBlob(first), true)
	equal(t, "second", e.hasBlob(second), true)
	equal(t, "layer", e.hasSnapshot("layer"), true)
}
