// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// leftCgroups removes the cgroups below root. Those of a namespace are ours; a container's is a leak, and is named.
func leftCgroups(root string) []string {
	var problems []string
	for _, top := range cgroupFolders(root) {
		depth := strings.Count(top, "/")
		var folders []string
		_ = filepath.WalkDir(top, func(path string, entry os.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				folders = append(folders, path)
			}
			return nil
		})
		slices.Reverse(folders)
		for _, folder := range folders {
			if strings.Count(folder, "/") > depth+1 {
				problems = append(problems, "cgroup left behind: "+folder)
			}
			_ = os.Remove(folder)
		}
	}
	return problems
}

// cgroupFolders are the folders of root in all hierarchies.
func cgroupFolders(root string) []string {
	found, _ := filepath.Glob("/sys/fs/cgroup/*" + root)
	if unified := "/sys/fs/cgroup" + root; exists(unified) {
		found = append(found, unified)
	}
	return found
}
