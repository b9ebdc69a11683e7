// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/kernel/result.h"
#include "core/kernel/unique_fd.h"

namespace gantry::shim {

// The log of one runtime command, in memory: the runtime opens it by its path, nobody inherits it,
// and an error in it is of this command and of no earlier one.
class CommandLog {
 public:
  // `bundle` holds the file where there is no memory for it.
  static kernel::Result<CommandLog> Create(const std::string& bundle);
  CommandLog(CommandLog&&) noexcept = default;
  ~CommandLog();

  const std::string& path() const { return path_; }

  // The end of what was written, at most 64 KiB.
  std::string Tail() const;

 private:
  CommandLog(kernel::UniqueFd fd, std::string path, std::string file)
      : fd_(std::move(fd)), path_(std::move(path)), file_(std::move(file)) {}

  kernel::UniqueFd fd_;
  std::string path_;
  std::string file_;  // to be removed; empty when the log is in memory
};

}  // namespace gantry::shim
