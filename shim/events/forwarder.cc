// SPDX-License-Identifier: Apache-2.0
#include "shim/events/forwarder.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "shim/loop/wait.h"

namespace gantry::shim {
namespace {

constexpr std::string_view kScheme = "unix://";
constexpr size_t kReadBytes = 4096;

std::string PathOf(std::string address) {
  if (address.starts_with(kScheme)) address.erase(0, kScheme.size());
  return address;
}

}  // namespace

Forwarder::Forwarder(Loop& loop, std::string address)
    : loop_(loop), path_(PathOf(std::move(address))) {}

void Forwarder::Close() {
  socket_.Reset();
  connection_ = {};
}

kernel::Result<void> Forwarder::Connect() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path_.size() >= sizeof(address.sun_path)) {
    return kernel::Error{ENAMETOOLONG, "connect to " + path_};
  }
  std::memcpy(address.sun_path, path_.data(), path_.size());
  kernel::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return kernel::LastError("socket");
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    return kernel::LastError("connect to " + path_);
  }
  socket_ = std::move(socket);
  return {};
}

Co<kernel::Result<wire::RpcStatus>> Forwarder::Call(wire::Request request, Time deadline) {
  const bool kept = connected();
  auto answer = co_await Exchange(&request, deadline);
  if (answer) co_return answer;
  Close();
  if (!kept || Clock::now() >= deadline) co_return answer;
  answer = co_await Exchange(&request, deadline);
  if (!answer) Close();
  co_return answer;
}

Co<kernel::Result<wire::RpcStatus>> Forwarder::Exchange(const wire::Request* request,
                                                        Time deadline) {
  if (!connected()) {
    if (auto made = Connect(); !made) co_return made.error();
  }
  const auto stream = connection_.Start(*request);
  if (!stream) co_return stream.error();
  auto done = co_await Write(deadline);
  if (!done) co_return done.error();
  while (true) {
    while (auto event = connection_.Next()) {
      if (event->stream == *stream) co_return event->response.status;
    }
    if (connection_.broken()) co_return kernel::Error{EPROTO, "read from " + path_};
    done = co_await Read(deadline);
    if (!done) co_return done.error();
  }
}

Co<kernel::Result<void>> Forwarder::Write(Time deadline) {
  wire::OutputQueue& output = connection_.output();
  while (!output.empty()) {
    const std::string_view front = output.front();
    const ssize_t count = ::send(socket_.get(), front.data(), front.size(), MSG_NOSIGNAL);
    if (count >= 0) {
      output.Consume(static_cast<size_t>(count));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) co_return kernel::LastError("write to " + path_);
    const auto ready = co_await WaitReady(loop_, socket_.get(), EPOLLOUT, deadline);
    if (!ready) co_return kernel::Error{ready.error().err, "write to " + path_};
  }
  co_return kernel::Result<void>();
}

// Some more bytes.
Co<kernel::Result<void>> Forwarder::Read(Time deadline) {
  const auto ready = co_await WaitReady(loop_, socket_.get(), EPOLLIN, deadline);
  if (!ready) co_return kernel::Error{ready.error().err, "wait for the answer of " + path_};
  std::array<char, kReadBytes> buffer;
  const ssize_t count = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
  if (count == 0) co_return kernel::Error{ECONNRESET, "read from " + path_};
  if (count < 0 && errno != EAGAIN && errno != EINTR) {
    co_return kernel::LastError("read from " + path_);
  }
  if (count > 0) connection_.Feed(std::string_view(buffer.data(), static_cast<size_t>(count)));
  co_return kernel::Result<void>();
}

}  // namespace gantry::shim
