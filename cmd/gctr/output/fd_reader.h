// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "core/base/status.h"
#include "core/base/stream.h"
#include "core/kernel/unique_fd.h"

namespace gantry::gctr {

// The bytes of a descriptor, which it may own.
class FdReader final : public Reader {
 public:
  FdReader(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
  FdReader(kernel::UniqueFd fd, std::string name)
      : owned_(std::move(fd)), fd_(owned_.get()), name_(std::move(name)) {}

  absl::StatusOr<size_t> Read(std::span<char> buffer) override {
    while (true) {
      const ssize_t count = ::read(fd_, buffer.data(), buffer.size());
      if (count >= 0) return static_cast<size_t>(count);
      if (errno != EINTR) return FromErrno(errno, "read " + name_);
    }
  }

 private:
  kernel::UniqueFd owned_;
  int fd_;
  std::string name_;
};

}  // namespace gantry::gctr
