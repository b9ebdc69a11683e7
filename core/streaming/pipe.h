// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/any.pb.h>

#include <cstddef>
#include <deque>
#include <optional>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "core/base/mutex.h"

namespace gantry::streaming {

// One direction of a stream: messages in order, a bounded number of which may wait. Neither end
// ever blocks; who has to wait is called back.
//
// Threads: one writer and one reader at a time; Close() and Abort() from any thread. Callbacks run
//          on the other end's thread with no lock held; they must not block.
class Pipe {
 public:
  using Message = google::protobuf::Any;
  using Ready = absl::AnyInvocable<void()>;

  static constexpr size_t kMaxMessages = 64;
  static constexpr size_t kMaxBytes = size_t{4} << 20;  // one message may exceed it, when alone

  // Takes `message` and answers true; or leaves it when the pipe is full and answers false: then
  // `ready` is called once, when it is worth trying again. The error tells why nobody reads.
  absl::StatusOr<bool> TryWrite(Message& message, Ready ready);

  // The next message. Nothing if there is none yet: then `ready` is called once, when Poll() would
  // answer. OutOfRange at the orderly end, after the last message; another error if the stream
  // broke.
  std::optional<absl::StatusOr<Message>> Poll(Ready ready);

  // The writer is done: the reader still gets what waits.
  void Close();

  // Nobody reads or writes any more; what waits is dropped. The first reason stays.
  void Abort(absl::Status reason);

 private:
  bool HasRoom(size_t bytes) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void End(absl::Status reason, bool drop);

  base::Mutex mutex_;
  std::deque<Message> messages_ ABSL_GUARDED_BY(mutex_);
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status ended_ ABSL_GUARDED_BY(mutex_);
  Ready readable_ ABSL_GUARDED_BY(mutex_);
  Ready writable_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace gantry::streaming
