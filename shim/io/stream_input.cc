// SPDX-License-Identifier: Apache-2.0
#include "shim/io/stream_input.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "shim/io/stream_client.h"

namespace gantry::shim {
namespace {

constexpr size_t kWindowBytes = StreamClient::kWindowBytes;

}  // namespace

kernel::Result<void> StreamInput::Name(std::string id) {
  if (auto added = context_.streams.Add(id, *this); !added) return added;
  id_ = std::move(id);
  return {};
}

void StreamInput::Begin(kernel::UniqueFd target) {
  target_ = std::move(target);
  target_ready_.emplace(context_.loop, target_.get(), [this] { WriteOn(); });
  begun_ = true;
  WriteOn();
}

void StreamInput::CloseStdin() {
  closing_ = true;
  if (client_ != nullptr) return;
  ended_ = true;
  WriteOn();
}

void StreamInput::Close() {
  target_ready_.reset();
  target_.Reset();
  pending_ = {};
  begun_ = false;
  if (!id_.empty()) context_.streams.Remove(std::exchange(id_, {}));
  client_ = nullptr;
}

void StreamInput::Attach(StreamClient& client) {
  client_ = &client;
  granted_ = 0;
  if (ended_) return client_->End({});
  if (client.half_closed()) return TakeEnd();
  Grant();
}

void StreamInput::Detach() {
  client_ = nullptr;
  granted_ = 0;
  if (!closing_ || ended_) return;
  ended_ = true;
  WriteOn();
}

void StreamInput::TakeData(std::string_view data) {
  if (data.size() > kWindowBytes - std::min(pending_.size(), kWindowBytes))
    return client_->End(
        wire::MakeStatus(wire::RpcCode::kResourceExhausted, "more data than the window allows"));
  granted_ -= std::min(granted_, data.size());
  pending_ += data;
  WriteOn();
}

void StreamInput::TakeEnd() {
  ended_ = true;
  WriteOn();
  if (client_ != nullptr) client_->End({});
}

void StreamInput::WriteOn() {
  if (!begun_) return;
  size_t written = 0;
  while (target_ && written < pending_.size()) {
    const ssize_t count =
        ::write(target_.get(), pending_.data() + written, pending_.size() - written);
    if (count >= 0) {
      written += static_cast<size_t>(count);
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != EINTR) {
      deaf_ = true;
      break;
    }
  }
  pending_.erase(0, deaf_ ? pending_.size() : written);
  if (pending_.empty()) {
    pending_ = std::string();
    if (target_ready_) target_ready_->Stop();
    if (ended_ || deaf_) {
      target_ready_.reset();
      target_.Reset();
    }
  } else {
    target_ready_->Await(EPOLLOUT);
  }
  Grant();
}

// A whole window at first, then what has been used of it, in halves.
void StreamInput::Grant() {
  if (client_ == nullptr || !begun_ || ended_) return;
  const size_t used = kWindowBytes - std::min(kWindowBytes, granted_ + pending_.size());
  if (used == 0 || (granted_ > 0 && used < kWindowBytes / 2)) return;
  granted_ += used;
  client_->Grant(used);
}

}  // namespace gantry::shim
