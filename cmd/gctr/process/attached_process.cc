// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/process/attached_process.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <utility>

#include "core/base/status.h"

namespace gantry::gctr {

absl::StatusOr<std::unique_ptr<AttachedProcess>> AttachedProcess::Begin(TaskProcess& process,
                                                                        SignalSource& signals,
                                                                        bool terminal) {
  signals.Take();
  kernel::UniqueFd resized(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!resized) return FromErrno(errno, "eventfd");
  std::unique_ptr<AttachedProcess> attached(
      new AttachedProcess(process, signals, std::move(resized)));
  if (terminal) {
    absl::StatusOr<RawTerminal> raw = RawTerminal::Enter();
    if (!raw.ok()) return raw.status();
    attached->terminal_.emplace(*std::move(raw));
  }
  ASSIGN_OR_RETURN(attached->exit_, ExitWatch::Begin(process, attached->calls_));
  return attached;
}

AttachedProcess::~AttachedProcess() = default;

void AttachedProcess::PassSize() {
  size_changed_ = resizing_;
  if (resizing_) return;
  const absl::StatusOr<RawTerminal::Size> size = terminal_->size();
  if (!size.ok()) return;
  resizing_ = true;
  process_.ResizeLater(calls_, *size, [fd = resized_.get()] {
    const uint64_t one = 1;
    if (::write(fd, &one, sizeof one) < 0) {
      // The counter was at 0, so this cannot be.
    }
  });
}

void AttachedProcess::FinishResize() {
  uint64_t count = 0;
  if (::read(resized_.get(), &count, sizeof count) < 0) return;
  resizing_ = false;
  if (size_changed_) PassSize();
}

void AttachedProcess::PassSignals() {
  while (const std::optional<int> signal = signals_.Next()) {
    if (*signal == SIGWINCH && terminal_) {
      PassSize();
    } else {
      process_.KillLater(calls_, *signal);
    }
  }
}

absl::StatusOr<uint32_t> AttachedProcess::Run(ProcessIo& io) {
  if (terminal_) PassSize();
  RETURN_IF_ERROR(io.StartInput([this] { process_.CloseInputLater(calls_); },
                                terminal_ ? &*terminal_ : nullptr));
  std::array<pollfd, 3> waits = {pollfd{.fd = exit_->fd(), .events = POLLIN, .revents = 0},
                                 pollfd{.fd = signals_.fd(), .events = POLLIN, .revents = 0},
                                 pollfd{.fd = resized_.get(), .events = POLLIN, .revents = 0}};
  absl::Status polled;
  while (polled.ok() && waits[0].revents == 0) {
    if (::poll(waits.data(), waits.size(), -1) < 0) {
      if (errno != EINTR) polled = FromErrno(errno, "poll");
      continue;
    }
    if (waits[1].revents != 0) PassSignals();
    if (waits[2].revents != 0) FinishResize();
  }
  io.StopInput();  // which uses calls_
  if (!polled.ok()) return polled;
  io.FinishOutput(signals_);
  return exit_->outcome();
}

}  // namespace gantry::gctr
