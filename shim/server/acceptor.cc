// SPDX-License-Identifier: Apache-2.0
#include "shim/server/acceptor.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "shim/server/peer.h"

namespace gantry::shim {
namespace {

constexpr Clock::duration kFirstPause = std::chrono::milliseconds(1);
constexpr Clock::duration kLongestPause = std::chrono::seconds(1);

kernel::UniqueFd SpareFd() { return kernel::UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

kernel::UniqueFd AcceptOne(int listener) {
  return kernel::UniqueFd(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

// Up to a quarter less, so that shims which failed together do not come back together.
Clock::duration WithJitter(Clock::duration pause) {
  const auto ticks = Clock::now().time_since_epoch().count();
  return pause - pause * (ticks / 1000 % 64) / 256;
}

}  // namespace

Acceptor::Acceptor(Loop& loop, int listener, Callback callback)
    : listener_(listener),
      callback_(std::move(callback)),
      spare_(SpareFd()),
      watch_(loop, listener, [this](uint32_t) { Accept(); }),
      resume_(loop, [this] { Resume(); }) {}

kernel::Result<void> Acceptor::Start() { return watch_.Arm(EPOLLIN); }

void Acceptor::AcceptWaiting() {
  while (Accept()) {
  }
}

bool Acceptor::Accept() {
  kernel::UniqueFd connection = AcceptOne(listener_);
  if (!connection) {
    if (errno == EMFILE || errno == ENFILE) {
      Shed();
    } else if (errno != EAGAIN && errno != EINTR) {
      Pause();
    }
    return false;
  }
  pause_ = {};
  if (!spare_) spare_ = SpareFd();
  if (IsOneOfUs(connection.get())) callback_(std::move(connection));
  return true;
}

void Acceptor::Shed() {
  const bool had_spare = static_cast<bool>(spare_);
  spare_.Reset();
  if (had_spare) AcceptOne(listener_).Reset();
  spare_ = SpareFd();
  if (!had_spare) Pause();
}

void Acceptor::Pause() {
  watch_.Disarm();
  pause_ = std::clamp(pause_ * 2, kFirstPause, kLongestPause);
  resume_.After(WithJitter(pause_));
}

void Acceptor::Resume() {
  if (!watch_.Arm(EPOLLIN)) Pause();
}

}  // namespace gantry::shim
