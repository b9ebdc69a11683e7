// SPDX-License-Identifier: Apache-2.0
// The depth-first walk under tree.h.
#pragma once

#include <dirent.h>
#include <sys/stat.h>

#include <memory>
#include <string>
#include <vector>

#include "core/kernel/result.h"
#include "core/kernel/unique_fd.h"

namespace gantry::kernel {

// What a walk meets. An error of any method ends the walk.
class TreeVisitor {
 public:
  virtual ~TreeVisitor() = default;

  // An entry of the open directory `dir` that is no directory.
  virtual Result<void> VisitFile(int dir, const std::string& name) = 0;
  // A directory that was opened, before its entries; the root has no name.
  virtual Result<void> EnterDirectory(int self, const std::string& name) = 0;
  // A directory below the root after its entries; `parent` is open on the one that holds it.
  virtual Result<void> LeaveDirectory(int parent, const std::string& name) = 0;
};

// Walks what lies below `root`. Directories that vanish meanwhile are skipped; a mount point is
// left out, or an EBUSY error when `mounts_are_errors`.
Result<void> WalkTree(UniqueFd root, bool mounts_are_errors, TreeVisitor& visitor);

}  // namespace gantry::kernel
