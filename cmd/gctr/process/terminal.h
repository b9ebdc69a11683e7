// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <termios.h>

#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"

namespace gantry::gctr {

// The terminal that gctr was started in, in raw mode until this object dies: every key goes to the
// container, Ctrl-C included.
class [[nodiscard]] RawTerminal {
 public:
  // FailedPrecondition when none of the standard streams is a terminal.
  static absl::StatusOr<RawTerminal> Enter();

  RawTerminal(RawTerminal&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), before_(other.before_) {}
  RawTerminal& operator=(RawTerminal&&) = delete;
  ~RawTerminal();

  int fd() const { return fd_; }

  struct Size {
    uint32_t width = 0;
    uint32_t height = 0;
  };
  absl::StatusOr<Size> size() const;

 private:
  RawTerminal(int fd, const termios& before) : fd_(fd), before_(before) {}

  int fd_;
  termios before_;
};

}  // namespace gantry::gctr
