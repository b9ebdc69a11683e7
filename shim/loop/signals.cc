// SPDX-License-Identifier: Apache-2.0
#include "shim/loop/signals.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace gantry::shim {

kernel::Result<std::unique_ptr<Signals>> Signals::Create(Loop& loop,
                                                         std::initializer_list<int> signals,
                                                         Callback callback) {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : signals) ::sigaddset(&set, signal);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) return kernel::LastError("block signals");
  kernel::UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return kernel::LastError("signalfd");
  std::unique_ptr<Signals> made(new Signals(loop, std::move(fd), std::move(callback)));
  if (auto armed = made->watch_.Arm(EPOLLIN); !armed) return armed.error();
  return made;
}

Signals::Signals(Loop& loop, kernel::UniqueFd fd, Callback callback)
    : fd_(std::move(fd)),
      callback_(std::move(callback)),
      watch_(loop, fd_.get(), [this](uint32_t) { Read(); }) {}

void Signals::Read() {
  signalfd_siginfo info{};
  if (::read(fd_.get(), &info, sizeof(info)) != sizeof(info)) return;
  callback_(static_cast<int>(info.ssi_signo));
}

}  // namespace gantry::shim
