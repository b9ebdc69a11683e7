// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "core/kernel/result.h"
#include "core/kernel/unique_fd.h"
#include "shim/io/endpoint.h"
#include "shim/io/io_context.h"
#include "shim/io/stdio_request.h"
#include "shim/io/stream_input.h"
#include "shim/io/stream_output.h"
#include "shim/loop/co.h"

namespace gantry::shim {

// The streams of one process that clients take from the shim's own socket. They count as
// descriptors do: 0, 1, 2.
class StreamSet {
 public:
  explicit StreamSet(IoContext& context) : context_(context) {}
  StreamSet(const StreamSet&) = delete;

  // From now on clients find them. EEXIST: another process has a stream of that id.
  kernel::Result<void> Name(const StdioRequest& request);

  // Waits until each output has had a client: were a short-lived process's output read before, some
  // client that is late would find nothing. ETIMEDOUT at the deadline. Nobody waits for input.
  Co<kernel::Result<void>> Meet(Time deadline);

  // Begins to copy through the shim's end of the stream's pipe, which does not block.
  void Begin(size_t stream, kernel::UniqueFd end);
  // The same, through a pipe whose other end a terminal gets.
  kernel::Result<Endpoint> BeginTerminalInput();
  kernel::Result<Endpoint> BeginTerminalOutput();

  void CloseStdin();
  // The process has ended: its output is sent before anybody hears of that, as far as it goes.
  void Hurry();
  Co<bool> Drain(Time deadline);
  void Close();

 private:
  IoContext& context_;
  std::optional<StreamInput> in_;
  std::array<std::optional<StreamOutput>, 2> outs_;
};

}  // namespace gantry::shim
