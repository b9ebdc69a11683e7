// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <optional>
#include <utility>

#include "core/kernel/result.h"
#include "core/kernel/subprocess.h"
#include "shim/io/copier.h"
#include "shim/io/endpoint.h"
#include "shim/io/io_context.h"
#include "shim/io/stdio_request.h"
#include "shim/loop/event.h"

namespace gantry::shim {

// The pipes between the shim and a process without a terminal, and what is copied through them.
// Streams count as descriptors do: 0, 1, 2.
class PipedStreams {
 public:
  explicit PipedStreams(IoContext& context) : context_(context), drained_(context.loop) {}

  kernel::Result<void> Make(std::array<bool, 3> wanted, const StdioRequest& request);

  // Null for streams that are not wanted.
  std::array<kernel::Stdio, 3> RuntimeStdio() const;
  void CloseContainerEnds();

  // Begins to copy between the stream's pipe and the client's end of it.
  void Copy(size_t stream, Endpoint client);
  void CloseStdin();
  // For one who copies in Copy()'s place. The stream no longer counts here.
  kernel::UniqueFd TakeOurEnd(size_t stream) { return std::move(our_ends_[stream]); }

  // After the last Copy().
  Co<bool> Drain(Time deadline) { return drained_.Wait(deadline); }
  void Close();

 private:
  void StreamEnded();

  IoContext& context_;
  std::array<kernel::UniqueFd, 3> container_ends_;
  std::array<kernel::UniqueFd, 3> our_ends_;
  std::array<std::optional<Copier>, 3> copiers_;
  bool stdin_closed_ = false;
  Event drained_;
};

}  // namespace gantry::shim
