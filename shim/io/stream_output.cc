// SPDX-License-Identifier: Apache-2.0
#include "shim/io/stream_output.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <span>
#include <utility>

#include "shim/io/stream_client.h"
#include "shim/io/transfer.h"

namespace gantry::shim {
namespace {

// Go clients keep 64 messages that nobody has read, however short, and give the stream up a second
// later. So short pieces are gathered for a moment, but for the first: the longer the more there
// are of them, so that a client may stand still for some seconds.
constexpr size_t kSmallBytes = 4096;
constexpr std::chrono::milliseconds kPause{10};
constexpr unsigned kPiecesToDouble = 8;
constexpr unsigned kMostDoublings = 4;
constexpr std::chrono::seconds kCountingTime{1};

// A client that is alive has taken by then what it got.
constexpr std::chrono::seconds kSettled{1};

size_t WindowOf(const StreamClient& client) {
  return static_cast<size_t>(std::min<uint64_t>(client.credit(), StreamClient::kWindowBytes));
}

}  // namespace

StreamOutput::StreamOutput(IoContext& context)
    : context_(context),
      pace_(context.loop, [this] { Move(); }),
      settle_(context.loop, [this] { Settle(); }),
      met_(context.loop),
      ended_(context.loop) {}

kernel::Result<void> StreamOutput::Name(std::string id) {
  if (auto added = context_.streams.Add(id, *this); !added) return added;
  id_ = std::move(id);
  return {};
}

void StreamOutput::Begin(kernel::UniqueFd source) {
  source_ = std::move(source);
  source_ready_.emplace(context_.loop, source_.get(), [this] { Move(); });
  begun_ = true;
  Move();
}

void StreamOutput::Hurry() {
  exited_ = true;
  hurry_ = true;
  Move();
  hurry_ = false;
}

void StreamOutput::Close() {
  pace_.Cancel();
  settle_.Cancel();
  source_ready_.reset();
  source_.Reset();
  begun_ = false;
  unproved_ = {};
  sent_ = 0;
  if (!id_.empty()) context_.streams.Remove(std::exchange(id_, {}));
  client_ = nullptr;
  ended_.Set();
}

void StreamOutput::Attach(StreamClient& client) {
  client_ = &client;
  settle_.Cancel();
  window_ = WindowOf(client);
  refused_ = false;
  if (client.half_closed()) return TakeEnd();
  met_.Set();
  Move();
}

void StreamOutput::Detach() {
  client_ = nullptr;
  client_deaf_ = false;
  settle_.Cancel();
  sent_ = 0;
  in_flight_ = 0;
  AwaitClient();
}

void StreamOutput::TakeData(std::string_view /*data*/) {
  client_->End(wire::MakeStatus(wire::RpcCode::kInvalidArgument, "data for an output"));
}

void StreamOutput::TakeCredit() {
  window_ = std::max(window_, WindowOf(*client_));
  Trim();
  Move();
}

void StreamOutput::TakeEnd() {
  refused_ = true;
  client_->End(wire::MakeStatus(wire::RpcCode::kCanceled, "the client gives no more credit"));
}

void StreamOutput::Written() {
  in_flight_ = 0;
  Trim();
  Move();
}

void StreamOutput::Move() {
  if (!begun_) return;
  for (size_t moved = 0; moved < Transfer::kTurnBytes; moved += StreamClient::kPieceBytes) {
    if (client_ == nullptr || client_->credit() == 0) return AwaitClient();
    if (client_deaf_ || client_->Waits()) return StopReading();
    switch (MoveOnce()) {
      case Step::kMoved:
        break;
      case Step::kNothing:
        return source_ready_->Await(EPOLLIN);
      case Step::kLater:
        return StopReading();
      case Step::kEnd:
        return Finish();
    }
  }
  pace_.At(Clock::now());  // others have their turn
}

void StreamOutput::StopReading() {
  if (source_ready_) source_ready_->Stop();
}

StreamOutput::Step StreamOutput::MoveOnce() {
  const std::span<char> buffer = context_.buffer.Lend();
  if (buffer.empty()) {
    pace_.After(kPause);
    return Step::kLater;
  }
  char* const data = buffer.data() + StreamClient::kHeadBytes;
  const auto limit =
      static_cast<size_t>(std::min<uint64_t>(client_->credit(), StreamClient::kPieceBytes));
  size_t size = 0;
  if (sent_ < unproved_.size()) {
    size = std::min(limit, unproved_.size() - sent_);
    std::memcpy(data, unproved_.data() + sent_, size);
  } else {
    const Step read = Read(data, limit, size);
    if (read != Step::kMoved) return read;
    unproved_.append(data, size);
  }
  client_->Spend(size);
  sent_ += size;
  in_flight_ += size;
  const bool sent = client_->SendData(buffer, size);
  if (client_ == nullptr) return Step::kMoved;
  client_deaf_ = !sent;
  if (client_deaf_) return Step::kLater;
  if (!client_->Waits()) in_flight_ = 0;
  Trim();
  return Step::kMoved;
}

StreamOutput::Step StreamOutput::Read(char* data, size_t limit, size_t& size) {
  if (!source_) return Step::kEnd;
  const size_t waiting = Waiting();
  if (!hurry_ && waiting > 0 && waiting < kSmallBytes && Clock::now() < next_piece_) {
    pace_.At(next_piece_);
    return Step::kLater;
  }
  ssize_t count;
  do {
    count = ::read(source_.get(), data, limit);
  } while (count < 0 && errno == EINTR);
  if (count < 0 && errno == EAGAIN) return Step::kNothing;
  if (count <= 0) {
    source_ready_.reset();
    source_.Reset();
    return Step::kEnd;
  }
  size = static_cast<size_t>(count);
  next_piece_ = Clock::now() + (size < kSmallBytes ? PauseAfterSmallPiece() : kPause);
  return Step::kMoved;
}

Clock::duration StreamOutput::PauseAfterSmallPiece() {
  const Time now = Clock::now();
  if (now - counting_since_ >= kCountingTime) {
    small_pieces_ = now - counting_since_ < 2 * kCountingTime ? small_pieces_ / 2 : 0;
    counting_since_ = now;
  }
  return kPause * (1U << std::min(++small_pieces_ / kPiecesToDouble, kMostDoublings));
}

// Nobody takes anything now. What hangs up has ended if nothing is left in it.
void StreamOutput::AwaitClient() {
  pace_.Cancel();
  if (!begun_) return;
  if (refused_ && exited_) return DropRest();
  if (source_) {
    if (Waiting() > 0) return source_ready_->Stop();
    pollfd source{.fd = source_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&source, 1, 0) != 1 || (source.revents & POLLIN) != 0 ||
        (source.revents & POLLHUP) == 0)
      return source_ready_->Await(0);
    source_ready_.reset();
    source_.Reset();
  }
  Finish();
}

void StreamOutput::Finish() {
  if (source_ || sent_ < unproved_.size()) return;
  if (client_ != nullptr) {
    client_->End({});
    settle_.After(kSettled);
  }
  ended_.Set();
}

// Nobody is going to take it.
void StreamOutput::DropRest() {
  source_ready_.reset();
  source_.Reset();
  unproved_ = std::string();
  sent_ = 0;
  ended_.Set();
}

void StreamOutput::Trim() {
  const uint64_t credit = client_->credit();
  const size_t unproved = 2 * window_ > credit ? 2 * window_ - static_cast<size_t>(credit) : 0;
  const size_t kept = std::max(unproved, in_flight_);
  if (sent_ > kept) Forget(sent_ - kept);
  if (settle_.armed() || sent_ == 0 || credit < window_) return;
  settling_ = sent_;
  settle_.After(kSettled);
}

void StreamOutput::Settle() {
  if (client_ == nullptr) {  // it was told the end
    unproved_ = std::string();
    return;
  }
  if (client_->credit() < window_) return;  // it has not taken all, or would have allowed more
  Forget(std::min(settling_, sent_ - std::min(sent_, in_flight_)));
  Trim();
}

// Of what was sent and kept.
void StreamOutput::Forget(size_t bytes) {
  unproved_.erase(0, bytes);
  sent_ -= bytes;
  settling_ -= std::min(settling_, bytes);
  if (unproved_.empty()) unproved_ = std::string();
}

size_t StreamOutput::Waiting() const {
  int waiting = 0;
  return ::ioctl(source_.get(), FIONREAD, &waiting) == 0 && waiting > 0
             ? static_cast<size_t>(waiting)
             : 0;
}

}  // namespace gantry::shim
