// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace gantry::mount {

// One mount as containerd's API speaks of it; not yet a system call's arguments.
//
// `type` may carry the mount manager's prefixes ("format/", "mkdir/", "mkfs/"). `target` is
// relative to the root being assembled and usually empty. `options` are words: flags, propagation,
// or data for the file system, each unsplit (a word may hold commas).
struct Mount {
  std::string type;
  std::string source;
  std::string target;
  std::vector<std::string> options;

  bool operator==(const Mount&) const = default;
};

// Applied in order, each on top of what the ones before it made.
using Mounts = std::vector<Mount>;

}  // namespace gantry::mount
