// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include "core/kernel/result.h"
#include "core/kernel/unique_fd.h"
#include "shim/loop/co.h"
#include "shim/loop/loop.h"

namespace gantry::shim {

// Where a runtime hands over the master of a terminal that it has made. The socket lies in the
// bundle, which nobody else can enter, and is removed when this goes.
class ConsoleSocket {
 public:
  static kernel::Result<ConsoleSocket> Listen(const std::string& bundle);
  ConsoleSocket(ConsoleSocket&&) noexcept = default;
  ConsoleSocket& operator=(ConsoleSocket&&) = delete;
  ~ConsoleSocket();

  // What the runtime is told: the path itself where a socket address (108 bytes) has room for it,
  // else one through this process's descriptor of the bundle. Absolute in both cases, as not all
  // runtimes connect from the directory that they were started in.
  const std::string& address() const { return address_; }

  // Takes one connection, and from it one message with one terminal. ETIMEDOUT at the deadline,
  // EPROTO for anything else.
  Co<kernel::Result<kernel::UniqueFd>> Receive(Loop& loop, Time deadline);

 private:
  ConsoleSocket(kernel::UniqueFd bundle, std::string name) noexcept
      : bundle_(std::move(bundle)), name_(std::move(name)) {}

  kernel::UniqueFd bundle_;
  std::string name_;
  std::string address_;
  kernel::UniqueFd listener_;
};

}  // namespace gantry::shim
