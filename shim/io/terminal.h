// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>

#include "core/kernel/result.h"
#include "core/kernel/unique_fd.h"
#include "shim/io/endpoint.h"
#include "shim/io/io_context.h"
#include "shim/io/readiness.h"
#include "shim/io/transfer.h"
#include "shim/loop/loop.h"

namespace gantry::shim {

// The master of a terminal, and the copying between it and a client.
//
// Its one descriptor is watched edge-triggered, for both directions: a master whose slave nobody
// has open hangs up for as long as that lasts, which may be only until a process opens it.
class Terminal {
 public:
  // `input` may be closed: then nothing comes in. `ended` is called once, after everything has been
  // closed.
  Terminal(IoContext& context, kernel::UniqueFd master, Endpoint input, Endpoint output,
           std::function<void()> ended);
  Terminal(const Terminal&) = delete;

  kernel::Result<void> Resize(uint16_t width, uint16_t height);
  void CloseStdin() { input_.keeper.Reset(); }

  // No more input. What is there to read is passed on, then everything is closed.
  void HangUp();

  // What is not copied yet is lost.
  void Close();

 private:
  void MasterReady();
  void MoveIn();
  void MoveOut();
  void CloseInput();
  bool closed() const { return !master_.fd; }

  Endpoint master_;
  Endpoint input_;
  Endpoint output_;
  const std::function<void()> ended_;
  Transfer in_;
  Transfer out_;
  FdWatch master_watch_;
  Readiness input_ready_;
  Readiness output_ready_;
};

}  // namespace gantry::shim
