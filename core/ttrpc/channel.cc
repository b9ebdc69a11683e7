// SPDX-License-Identifier: Apache-2.0
#include "core/ttrpc/channel.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace gantry::ttrpc {
namespace {

// Reads in a row before others get their turn.
constexpr int kMaxReads = 4;

}  // namespace

absl::Status Channel::Open(kernel::UniqueFd socket) {
  // Writable is asked for at first: for a socket that is connecting it means that it has.
  events_ = EPOLLIN | EPOLLOUT;
  auto watch = loop_.Watch(socket.get(), events_, [this](uint32_t events) { OnEvents(events); });
  if (!watch.ok()) return watch.status();
  watch_ = *watch;
  socket_ = std::move(socket);
  return absl::OkStatus();
}

void Channel::Close() {
  if (!socket_) return;
  loop_.Unwatch(watch_);
  socket_.Reset();
}

void Channel::Lose() {
  Close();
  owner_.OnLost();
}

void Channel::OnEvents(uint32_t events) {
  const auto alive = owner_.KeepAlive();
  if ((events & EPOLLOUT) != 0 && !Write()) return Lose();
  // Errors and hang-ups show in the read, after what arrived before them.
  const bool readable = (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0;
  if (readable && (events_ & EPOLLIN) != 0) return Read();
  // A peer that hung up will not read: there is nothing to wait for.
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) return Lose();
  UpdateEvents();
}

void Channel::Read() {
  std::array<char, 65536> buffer;  // NOLINT: filled by the kernel
  for (int reads = 0; reads < kMaxReads && socket_; ++reads) {
    const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (got > 0) {
      owner_.OnBytes({buffer.data(), static_cast<size_t>(got)});
      if (output_.size() > max_output_bytes_) break;
      if (static_cast<size_t>(got) < buffer.size()) break;
    } else if (got < 0 && errno == EINTR) {
      continue;
    } else if (got < 0 && errno == EAGAIN) {
      break;
    } else {
      return Lose();
    }
  }
  if (socket_) UpdateEvents();
}

// False when the peer is gone.
bool Channel::Write() {
  while (!output_.empty()) {
    const std::string_view front = output_.front();
    const ssize_t done = ::send(socket_.get(), front.data(), front.size(), MSG_NOSIGNAL);
    if (done >= 0) {
      output_.Consume(static_cast<size_t>(done));
    } else if (errno == EAGAIN || errno == ENOTCONN) {
      return true;
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

void Channel::Flush() {
  if (!socket_) return;
  const auto alive = owner_.KeepAlive();
  if (!Write()) return Lose();
  UpdateEvents();
}

void Channel::UpdateEvents() {
  uint32_t wanted = 0;
  if (output_.size() <= max_output_bytes_) wanted |= EPOLLIN;
  if (!output_.empty()) wanted |= EPOLLOUT;
  if (wanted == events_) return;
  events_ = wanted;
  loop_.SetEvents(watch_, wanted);
}

}  // namespace gantry::ttrpc
