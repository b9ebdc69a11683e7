// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "core/kernel/result.h"
#include "core/kernel/unique_fd.h"

namespace gantry::shim {

// A file without a name in any directory, for a command to read: it opens it by its path, while
// this lives.
class MemoryFile {
 public:
  // `name` is for whoever looks at our fds.
  static kernel::Result<MemoryFile> Create(const char* name, std::string_view content);

  std::string path() const;

 private:
  explicit MemoryFile(kernel::UniqueFd fd) : fd_(std::move(fd)) {}
  kernel::UniqueFd fd_;
};

}  // namespace gantry::shim
