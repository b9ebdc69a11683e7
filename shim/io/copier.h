// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "core/kernel/unique_fd.h"
#include "shim/io/endpoint.h"
#include "shim/io/io_context.h"
#include "shim/io/readiness.h"
#include "shim/io/transfer.h"

namespace gantry::shim {

// Copies a stream to its end, as both sides are ready. While the target is full the source is not
// looked at, and the other way round.
class Copier {
 public:
  // `ended` is called once, from the loop, after both ends have been closed.
  Copier(IoContext& context, Endpoint source, Endpoint target, std::function<void()> ended);
  Copier(const Copier&) = delete;

  // Gives our writer of the source up: it ends when all others have.
  void CloseSourceKeeper() { source_.keeper.Reset(); }

  // What is not copied yet is lost.
  void Close();
  bool closed() const { return !source_.fd; }

 private:
  void Move();

  Endpoint source_;
  Endpoint target_;
  const std::function<void()> ended_;
  Transfer transfer_;
  Readiness source_ready_;
  Readiness target_ready_;
};

}  // namespace gantry::shim
