// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <utility>

#include "core/kernel/result.h"
#include "core/kernel/unique_fd.h"
#include "shim/loop/loop.h"

namespace gantry::shim {

// Signals of this process as callbacks of the loop. They stay blocked when this goes.
class Signals {
 public:
  using Callback = std::function<void(int signal)>;

  // Blocks the signals. What came while they were blocked before is reported too.
  static kernel::Result<std::unique_ptr<Signals>> Create(Loop& loop,
                                                         std::initializer_list<int> signals,
                                                         Callback callback);
  Signals(const Signals&) = delete;

 private:
  Signals(Loop& loop, kernel::UniqueFd fd, Callback callback);
  void Read();

  const kernel::UniqueFd fd_;
  const Callback callback_;
  FdWatch watch_;
};

}  // namespace gantry::shim
