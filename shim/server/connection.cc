// SPDX-License-Identifier: Apache-2.0
#include "shim/server/connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

namespace gantry::shim {
namespace {

constexpr size_t kReadBytes = 16384;

}  // namespace

Connection::Connection(Loop& loop, kernel::UniqueFd socket, Limits limits, Callbacks callbacks)
    : socket_(std::move(socket)),
      limits_(limits),
      callbacks_(std::move(callbacks)),
      wire_(limits.calls),
      watch_(loop, socket_.get(), [this](uint32_t events) { OnReady(events); }) {}

void Connection::Respond(uint32_t stream, const wire::Response& response) {
  wire_.Respond(stream, response);
  if (!handing_out_) Advance();
}

bool Connection::Send(uint32_t stream, std::string_view message) {
  if (deaf_ || !wire_.Send(stream, message)) return false;
  return handing_out_ || Advance();
}

void Connection::End(uint32_t stream) {
  wire_.End(stream);
  if (!handing_out_) Advance();
}

void Connection::OnReady(uint32_t events) {
  // What hangs up has nothing to read only once it is read to the end.
  const bool may_read = (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !OutputIsLong();
  if (may_read && !Read()) {
    Close();
  } else {
    Advance();
  }
}

// False when nothing can be sent any more; the connection may be gone then, or afterwards.
bool Connection::Advance() {
  do {
    HandOut();
    if (wire_.broken()) return Close();
    Write();
  } while (held_back_ && !OutputIsLong());
  const bool hears = !deaf_;
  const bool waits = !wire_.output().empty();
  const uint32_t events = (OutputIsLong() ? 0U : EPOLLIN) | (waits ? EPOLLOUT : 0U);
  if (!watch_.Arm(events)) return Close();
  if (!waits && hears) callbacks_.written();
  return hears;
}

void Connection::HandOut() {
  handing_out_ = true;
  held_back_ = false;
  while (!held_back_) {
    auto event = wire_.Next();
    if (!event) break;
    callbacks_.event(*std::move(event));
    held_back_ = OutputIsLong();
  }
  handing_out_ = false;
}

// False at the end of the connection.
bool Connection::Read() {
  std::array<char, kReadBytes> buffer;
  const ssize_t count = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  wire_.Feed(std::string_view(buffer.data(), static_cast<size_t>(count)));
  return count > 0;
}

void Connection::Write() {
  wire::OutputQueue& output = wire_.output();
  while (!output.empty()) {
    if (deaf_) return output.Consume(output.size());
    const std::string_view front = output.front();
    const ssize_t count = ::send(socket_.get(), front.data(), front.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EAGAIN) return;
    if (count >= 0) {
      output.Consume(static_cast<size_t>(count));
    } else if (errno != EINTR) {
      deaf_ = true;
    }
  }
}

// Gives false.
bool Connection::Close() {
  watch_.Disarm();
  const std::function<void()> closed = callbacks_.closed;
  closed();
  return false;
}

}  // namespace gantry::shim
