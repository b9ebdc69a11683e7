// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "core/kernel/unique_fd.h"

namespace gantry::shim {

// A copy of an OCI runtime in sealed memory, to be run in its place.
//
// crun begins every command by mounting or copying itself where no container can overwrite it
// through /proc/PID/exe, and then runs itself anew; most of a short command's time goes there. One
// that runs from memory which nobody can write any more has no need to. So the copy is made once,
// for all commands until Drop(). Others run as they are: runc does this once a container, in a
// child, and is no faster from memory.
//
// Threads: one.
class RuntimeImage {
 public:
  static constexpr size_t kMaxBytes = 2UL << 20;

  // What to execute for `binary`: the path of its copy, good until the next call that changes
  // something, or `binary` itself where there is no use in one, or none can be made. A binary that
  // was replaced is noticed.
  std::string PathOf(const std::string& binary);

  // The copy cannot be executed: its binary is run as it is from now on.
  void Refuse() { copy_.Reset(); }

  // Gives the memory back.
  void Drop();

 private:
  struct Identity {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    int64_t changed = 0;  // ctime, nanoseconds
    bool operator==(const Identity&) const = default;
  };

  std::optional<Identity> seen_;  // what `copy_` is of; without that, what is not to be copied
  kernel::UniqueFd copy_;
};

}  // namespace gantry::shim
