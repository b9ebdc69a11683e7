// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/process/signal_source.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>

#include "core/base/status.h"

namespace gantry::gctr {
namespace {

// Not those that tell of gctr's own faults and children, nor SIGURG and SIGPIPE, which libraries
// bring about.
sigset_t Forwarded() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGCONT, SIGTSTP,
                           SIGTTIN, SIGTTOU, SIGWINCH}) {
    ::sigaddset(&set, signal);
  }
  return set;
}

std::optional<int> ReadSignal(int fd) {
  signalfd_siginfo info = {};
  if (::read(fd, &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return std::nullopt;
  return static_cast<int>(info.ssi_signo);
}

// Has gctr end of, or stop for, `signal` as if it had never been blocked.
void ActAsUsual(int signal) {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, signal);
  ::raise(signal);
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);  // here it happens
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

void WatchUntil(int taken, int signals) {
  std::array<pollfd, 2> waits = {pollfd{.fd = taken, .events = POLLIN, .revents = 0},
                                 pollfd{.fd = signals, .events = POLLIN, .revents = 0}};
  while (true) {
    if (::poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) return;
    if (waits[0].revents != 0) return;
    if (const std::optional<int> signal = ReadSignal(signals)) ActAsUsual(*signal);
  }
}

}  // namespace

absl::StatusOr<SignalSource> SignalSource::Make() {
  const sigset_t set = Forwarded();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);  // fails for a bad argument alone
  SignalSource source;
  source.signals_.Reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!source.signals_) return FromErrno(errno, "signalfd");
  source.taken_.Reset(::eventfd(0, EFD_CLOEXEC));
  if (!source.taken_) return FromErrno(errno, "eventfd");
  source.watcher_ = std::jthread(WatchUntil, source.taken_.get(), source.signals_.get());
  return source;
}

void SignalSource::Take() {
  if (!watcher_.joinable()) return;
  const uint64_t one = 1;
  if (::write(taken_.get(), &one, sizeof one) < 0) return;  // cannot be: the counter is at 0
  watcher_.join();
}

SignalSource::~SignalSource() { Take(); }

std::optional<int> SignalSource::Next() { return ReadSignal(signals_.get()); }

}  // namespace gantry::gctr
