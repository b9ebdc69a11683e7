// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "core/kernel/unique_fd.h"
#include "shim/io/io_context.h"
#include "shim/loop/loop.h"

namespace gantry::shim {

// Keeps the beginning of what a pipe brings, and reads and drops what is longer: whoever writes
// never waits for want of room here.
class OutputHead {
 public:
  // `pipe` does not block. `ended` is called once, from the loop, when nobody can write any more.
  OutputHead(IoContext& context, kernel::UniqueFd pipe, size_t max_bytes,
             std::function<void()> ended);
  OutputHead(const OutputHead&) = delete;

  // Takes what is there without waiting, then closes the pipe. `ended` is not called.
  void Cut();

  bool open() const { return static_cast<bool>(pipe_); }
  bool truncated() const { return truncated_; }
  std::string Take() { return std::move(text_); }

 private:
  // False when nothing was there.
  bool ReadOnce();
  void Close();

  IoContext& context_;
  kernel::UniqueFd pipe_;
  const size_t max_bytes_;
  const std::function<void()> ended_;
  std::string text_;
  bool truncated_ = false;
  std::optional<FdWatch> watch_;
};

}  // namespace gantry::shim
