// SPDX-License-Identifier: Apache-2.0
// The option words of a mount, sorted into what the kernel takes in different places.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/kernel/result.h"

namespace gantry::kernel {

struct MountOptions {
  unsigned long flags = 0;                 // MS_* of mount(2), propagation left out
  std::vector<unsigned long> propagation;  // one mount(2) call each, in order
  std::vector<std::string> data;           // words for the file system, in order
  bool loop = false;                       // attach the source to a loop device first
  bool direct_io = false;                  // "direct-io" beside "loop"
  std::string uid_map;                     // "container:host:size,…"; empty together with gid_map
  std::string gid_map;

  // The data words as mount(2) wants them.
  std::string JoinedData() const;
};

// A flag that clears ("rw", "dev") clears what words before it set. Words that are no flag are
// data, never split at commas.
//
// EINVAL: a word with the prefix "X-containerd." (for the mount manager alone, and it takes its own
// away), or one of uidmap= and gidmap= without the other.
Result<MountOptions> ParseMountOptions(const std::vector<std::string>& words);

// The first value of `key` in words of the form key=value.
std::optional<std::string> OptionValue(const std::vector<std::string>& words,
                                       const std::string& key);

}  // namespace gantry::kernel
