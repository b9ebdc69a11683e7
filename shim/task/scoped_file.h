// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <utility>

#include "core/kernel/file.h"
#include "core/kernel/result.h"

namespace gantry::shim {

// A file that is removed at the end.
class [[nodiscard]] ScopedFile {
 public:
  explicit ScopedFile(std::string path) : path_(std::move(path)) {}
  ScopedFile(const ScopedFile&) = delete;
  ~ScopedFile() { ::unlink(path_.c_str()); }

  // In place of what an earlier process may have left there.
  kernel::Result<void> Write(std::string_view data) const {
    ::unlink(path_.c_str());
    auto fd = kernel::Open(path_, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (!fd) return fd.error();
    return kernel::WriteAll(fd->get(), data, path_);
  }

  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

}  // namespace gantry::shim
