// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestL122_L135_InAUserNamespace runs the daemon where it may not set the overlay attributes of the host's root.
func TestL122_L135_InAUserNamespace(t *testing.T) {
	t.Parallel()
	e := startDaemon(t, daemonOptions{name: "user", userns: true}).env(t).held()
	overlay := e.plugin("io.containerd.snapshotter.v1", overlayfs)
	if overlay.InitErr != nil {
		t.Fatalf("overlayfs: %v", overlay.InitErr)
	}
	equal(t, "it can rebase", slices.Contains(overlay.Capabilities, "rebase"), false)

	_, err := e.apply(e.prepare("make", "", nil), tarOf(t, file("gone", "x"), folder("dir/"), file("dir/old", "")), "")
	ok(t, err)
	e.commit("base", "make", nil)
	mounts := e.prepare("change", "base", nil)
	equal(t, "userxattr", count(mounts[0].Options, "userxattr"), 1)
	_, err = e.apply(mounts, tarOf(t, file(".wh.gone", ""), folder("dir/"), file("dir/new", ""), file("dir/.wh..wh..opq", "")), "")
	ok(t, err)
	e.inside(mounts, func(root string) {
		if got := names(t, root); !slices.Equal(got, []string{"dir"}) {
			t.Errorf("the root holds %v", got)
		}
		if got := names(t, filepath.Join(root, "dir")); !slices.Equal(got, []string{"new"}) {
			t.Errorf("the folder holds %v", got)
		}
		ok(t, os.WriteFile(filepath.Join(root, "written"), nil, 0o600))
	})
}
