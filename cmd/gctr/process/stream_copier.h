// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <thread>

#include "absl/status/statusor.h"
#include "core/kernel/unique_fd.h"

namespace gantry::gctr {

// Copies bytes from one descriptor to another on a thread of its own, until the source ends, either
// side fails, or Cancel().
class StreamCopier {
 public:
  // `from` and `to` may be blocking or not; what is owned is closed at the end of the stream.
  // `at_end` runs on the copier's thread when the source has ended, not when it was cancelled.
  // With `awaits_reader`, `to` is a pipe whose reader may come late: nothing is written before a
  // reader is there, and unless cancelled, the pipe is not closed before. A reader that leaves ends
  // the copying, not gctr.
  struct Ends {
    int from = -1;
    int to = -1;
    kernel::UniqueFd owned_from = {};
    kernel::UniqueFd owned_to = {};
    bool awaits_reader = false;
    std::function<void()> at_end = nullptr;
  };

  static absl::StatusOr<StreamCopier> Start(Ends ends);

  StreamCopier() = default;  // has ended
  StreamCopier(StreamCopier&&) noexcept = default;
  StreamCopier& operator=(StreamCopier&&) noexcept;
  ~StreamCopier();

  void Cancel();
  // Waits for the end.
  void Join();
  // Readable once the copier has ended; -1 when there is nothing to wait for.
  int ended_fd() const { return ended_.get(); }

 private:
  kernel::UniqueFd cancel_;  // eventfds
  kernel::UniqueFd ended_;
  std::jthread thread_;
};

}  // namespace gantry::gctr
