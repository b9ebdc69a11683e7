// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "core/kernel/result.h"
#include "core/kernel/unique_fd.h"
#include "shim/io/io_context.h"
#include "shim/io/named_stream.h"
#include "shim/io/readiness.h"

namespace gantry::shim {

// The input of a process, written to a pipe. A client may have sent a window more than the pipe has
// taken; who sends beyond that is sent away. The input ends when a client half-closes its call, or
// after CloseStdin() when there is none; one that only leaves may come back.
class StreamInput final : private NamedStream {
 public:
  explicit StreamInput(IoContext& context) : context_(context) {}
  StreamInput(const StreamInput&) = delete;
  ~StreamInput() { Close(); }

  // EEXIST
  kernel::Result<void> Name(std::string id);
  // Writes the input to a pipe that does not block.
  void Begin(kernel::UniqueFd target);
  void CloseStdin();
  // For a client, the stream ends here.
  void Close();

 private:
  void Attach(StreamClient& client) override;
  void Detach() override;
  void TakeData(std::string_view data) override;
  void TakeCredit() override {}
  void TakeEnd() override;
  void Written() override {}

  void WriteOn();
  void Grant();

  IoContext& context_;
  std::string id_;
  kernel::UniqueFd target_;
  std::optional<Readiness> target_ready_;
  bool begun_ = false;
  bool closing_ = false;  // CloseStdin() was called
  bool ended_ = false;    // no more comes
  bool deaf_ = false;     // the process does not read any more: what comes is dropped
  StreamClient* client_ = nullptr;
  size_t granted_ = 0;   // what the client may still send
  std::string pending_;  // what the pipe had no room for
};

}  // namespace gantry::shim
