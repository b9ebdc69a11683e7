// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

#include "shim/loop/loop.h"

namespace gantry::shim {

// The one buffer that all copying of a shim goes through. It holds nothing between two calls, and
// its memory goes back to the kernel when it has not been asked for in a while.
class CopyBuffer {
 public:
  static constexpr size_t kBytes = 64UL << 10;

  explicit CopyBuffer(Loop& loop);
  CopyBuffer(const CopyBuffer&) = delete;
  ~CopyBuffer();

  // Lent until the caller returns to the loop. Empty when there is no memory.
  std::span<char> Lend();

  bool held() const { return memory_ != nullptr; }

 private:
  void Release();

  Timer idle_;
  char* memory_ = nullptr;  // mapped
  bool used_ = false;       // since the timer last looked
};

}  // namespace gantry::shim
