// SPDX-License-Identifier: Apache-2.0
#include "core/streaming/pipe.h"

#include <utility>

#include "core/base/status.h"

namespace gantry::streaming {
namespace {

size_t SizeOf(const Pipe::Message& message) {
  return message.type_url().size() + message.value().size();
}

void Call(Pipe::Ready ready) {
  if (ready) ready();
}

}  // namespace

bool Pipe::HasRoom(size_t bytes) const {
  return messages_.empty() || (messages_.size() < kMaxMessages && bytes_ + bytes <= kMaxBytes);
}

absl::StatusOr<bool> Pipe::TryWrite(Message& message, Ready ready) {
  Ready reader;
  {
    base::MutexLock lock(mutex_);
    if (!ended_.ok()) return ended_;
    if (!HasRoom(SizeOf(message))) {
      writable_ = std::move(ready);
      return false;
    }
    bytes_ += SizeOf(message);
    messages_.push_back(std::move(message));
    reader = std::exchange(readable_, nullptr);
  }
  Call(std::move(reader));
  return true;
}

std::optional<absl::StatusOr<Pipe::Message>> Pipe::Poll(Ready ready) {
  Ready writer;
  Message message;
  {
    base::MutexLock lock(mutex_);
    if (messages_.empty()) {
      if (!ended_.ok()) return ended_;
      readable_ = std::move(ready);
      return std::nullopt;
    }
    message = std::move(messages_.front());
    messages_.pop_front();
    bytes_ -= SizeOf(message);
    writer = std::exchange(writable_, nullptr);
  }
  Call(std::move(writer));
  return message;
}

void Pipe::Close() { End(OutOfRange("end of stream"), /*drop=*/false); }
void Pipe::Abort(absl::Status reason) { End(std::move(reason), /*drop=*/true); }

void Pipe::End(absl::Status reason, bool drop) {
  Ready reader;
  Ready writer;
  {
    base::MutexLock lock(mutex_);
    if (ended_.ok()) ended_ = std::move(reason);
    if (drop) {
      messages_.clear();
      bytes_ = 0;
    }
    reader = std::exchange(readable_, nullptr);
    writer = std::exchange(writable_, nullptr);
  }
  Call(std::move(reader));
  Call(std::move(writer));
}

}  // namespace gantry::streaming
