// SPDX-License-Identifier: Apache-2.0
// A ttrpc client on the loop of a test, and a fixture that runs that loop.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/kernel/unique_fd.h"
#include "core/wire/client_connection.h"
#include "shim/loop/loop.h"

namespace gantry::shim::testing {

// Empty when nobody listens there.
inline kernel::UniqueFd ConnectTo(const std::string& path) {
  kernel::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    socket.Reset();
  }
  return socket;
}

class Peer {
 public:
  Peer(Loop& loop, const std::string& path) : Peer(loop, ConnectTo(path)) {}
  // Over a connection that does not block.
  Peer(Loop& loop, kernel::UniqueFd socket) : socket_(std::move(socket)) {
    if (!socket_) return;
    watch_ = std::make_unique<FdWatch>(loop, socket_.get(), [this](uint32_t) { OnReady(); });
    Arm();
  }

  bool connected() const { return static_cast<bool>(socket_); }
  void Close() {
    watch_.reset();
    socket_.Reset();
  }
  // A peer that does not read.
  void StopReading() { reading_ = false; }
  void ReadOn() {
    reading_ = true;
    Arm();
  }

  uint32_t Begin(const wire::Request& request) {
    const auto stream = wire.Start(request);
    EXPECT_TRUE(stream.ok());
    Arm();
    return stream.ok() ? *stream : 0;
  }
  uint32_t Begin(const std::string& method, std::string payload = {}) {
    return Begin({.service = "test.Service", .method = method, .payload = std::move(payload)});
  }
  // Bytes beside the protocol.
  void Push(std::string_view bytes) {
    wire.output().back() += bytes;
    Arm();
  }

  const wire::ClientEvent* EventOf(uint32_t stream) const {
    for (const wire::ClientEvent& event : events) {
      if (event.stream == stream) return &event;
    }
    return nullptr;
  }

  wire::ClientConnection wire;
  std::deque<wire::ClientEvent> events;
  std::string raw;  // all that was read

 private:
  void Arm() {
    if (!watch_) return;
    EXPECT_TRUE(
        watch_->Arm((reading_ ? EPOLLIN : 0U) | (wire.output().empty() ? 0U : EPOLLOUT)).ok());
  }

  void OnReady() {
    wire::OutputQueue& output = wire.output();
    while (!output.empty()) {
      const ssize_t done =
          ::send(socket_.get(), output.front().data(), output.front().size(), MSG_NOSIGNAL);
      if (done <= 0) break;
      output.Consume(static_cast<size_t>(done));
    }
    std::array<char, 65536> buffer;
    const ssize_t got =
        reading_ ? ::recv(socket_.get(), buffer.data(), buffer.size(), 0) : ssize_t{1};
    if (got == 0 || (got < 0 && errno != EAGAIN)) return Close();
    if (reading_ && got > 0) {
      raw.append(buffer.data(), static_cast<size_t>(got));
      wire.Feed({buffer.data(), static_cast<size_t>(got)});
      while (auto event = wire.Next()) events.push_back(*std::move(event));
    }
    Arm();
  }

  kernel::UniqueFd socket_;
  bool reading_ = true;
  std::unique_ptr<FdWatch> watch_;
};

class LoopFixture : public ::testing::Test {
 protected:
  LoopFixture() { limit_.After(std::chrono::seconds(60)); }
  ~LoopFixture() override {
    ::unlink(Path().c_str());
    ::rmdir(directory_.c_str());
  }

  void RunUntil(std::function<bool()> done) {
    Timer look(loop_, [this, &look, &done] {
      if (done() || !limit_.armed()) return loop_.Stop();
      look.After(std::chrono::microseconds(200));
    });
    look.After({});
    loop_.Run();
  }

  std::string Path() const { return directory_ + "/socket"; }

  std::string directory_ = [] {
    std::string name = "/tmp/shim_test.XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    return name;
  }();
  std::unique_ptr<Loop> owned_ = *Loop::Create();
  Loop& loop_ = *owned_;
  Timer limit_{loop_, [] { ADD_FAILURE() << "what the test waits for did not happen"; }};
};

}  // namespace gantry::shim::testing
