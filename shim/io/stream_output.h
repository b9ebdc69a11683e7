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
#include "shim/loop/event.h"
#include "shim/loop/loop.h"

namespace gantry::shim {

// An output of a process, read from a pipe as its client allows. Without a client, or without
// credit, the pipe is not read, and the process waits once that is full.
//
// A client that leaves may be followed by another, which goes on where the first has proved to be.
// Clients top their window up when less than a whole one is left of it: so what is more than two
// windows below all that they have allowed has been taken, and, where at least a window is left,
// what was sent a while ago. Only the rest is kept, and sent again.
class StreamOutput final : private NamedStream {
 public:
  explicit StreamOutput(IoContext& context);
  StreamOutput(const StreamOutput&) = delete;
  ~StreamOutput() { Close(); }

  // EEXIST
  kernel::Result<void> Name(std::string id);
  const std::string& id() const { return id_; }
  // Set when it has had a client.
  Event& met() { return met_; }

  // Reads the output from a pipe that does not block.
  void Begin(kernel::UniqueFd source);
  // The process has ended: what is there is passed on now.
  void Hurry();
  // All has been sent, or it is closed.
  Event& ended() { return ended_; }

  // For a client, the output ends here.
  void Close();

 private:
  void Attach(StreamClient& client) override;
  void Detach() override;
  void TakeData(std::string_view data) override;
  void TakeCredit() override;
  void TakeEnd() override;
  void Written() override;

  void Move();
  enum class Step { kMoved, kNothing, kLater, kEnd };
  Step MoveOnce();
  Step Read(char* data, size_t limit, size_t& size);
  void StopReading();
  Clock::duration PauseAfterSmallPiece();
  void AwaitClient();
  void Finish();
  void DropRest();
  void Trim();
  void Settle();
  void Forget(size_t bytes);
  size_t Waiting() const;

  IoContext& context_;
  std::string id_;
  kernel::UniqueFd source_;
  bool begun_ = false;
  bool hurry_ = false;
  StreamClient* client_ = nullptr;
  size_t window_ = 0;     // the most that the client has allowed at once, up to a whole window
  std::string unproved_;  // the last of what was read and may have to be sent again
  size_t sent_ = 0;       // of that, to this client
  size_t in_flight_ = 0;  // of that, what the kernel may not have taken
  size_t settling_ = 0;   // of what was sent, what is old enough when the timer comes
  bool client_deaf_ = false;
  bool refused_ = false;  // the last client has said that it takes nothing more
  bool exited_ = false;
  Time next_piece_;            // small ones come no sooner
  Time counting_since_;        // for less than a second
  unsigned small_pieces_ = 0;  // since then, and half of those before
  std::optional<Readiness> source_ready_;
  Timer pace_;
  Timer settle_;
  Event met_;
  Event ended_;
};

}  // namespace gantry::shim
