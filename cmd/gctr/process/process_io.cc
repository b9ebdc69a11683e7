// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/process/process_io.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <optional>

#include "core/base/status.h"

namespace gantry::gctr {
namespace {

absl::StatusOr<StreamCopier> CopyOut(kernel::UniqueFd fifo, int to) {
  if (!fifo) return StreamCopier();
  StreamCopier::Ends ends;
  ends.from = fifo.get();
  ends.to = to;
  ends.owned_from = std::move(fifo);
  return StreamCopier::Start(std::move(ends));
}

bool AsksToEnd(int signal) {
  return signal == SIGHUP || signal == SIGINT || signal == SIGQUIT || signal == SIGTERM;
}

}  // namespace

absl::Status CheckIoSettings(const IoSettings& settings) {
  if (settings.terminal && settings.null) {
    return InvalidArgument("tty and null-io cannot be used together");
  }
  if (settings.terminal && !settings.log_uri.empty()) {
    return InvalidArgument("can't use log-uri with tty");
  }
  if (!settings.log_uri.empty() && !settings.fifo_dir.empty()) {
    return InvalidArgument("can't use log-uri with fifo-dir");
  }
  if (!settings.log_uri.empty() && settings.log_uri.find("://") == std::string::npos) {
    return InvalidArgument("log uri {:?}: no scheme", settings.log_uri);
  }
  return absl::OkStatus();
}

absl::StatusOr<ProcessIo> ProcessIo::Make(const IoSettings& settings, const std::string& id) {
  RETURN_IF_ERROR(CheckIoSettings(settings));
  ProcessIo io;
  io.terminal_ = settings.terminal;
  io.log_uri_ = settings.log_uri;
  if (settings.null || !settings.log_uri.empty()) return io;
  const std::string root =
      settings.fifo_dir.empty() ? std::string(kDefaultFifoDirectory) : settings.fifo_dir;
  absl::StatusOr<FifoSet> fifos = FifoSet::Make(root, id, settings.terminal);
  if (!fifos.ok()) return fifos.status();
  io.fifos_.emplace(*std::move(fifos));
  return io;
}

absl::StatusOr<ProcessIo> ProcessIo::Attach(const containerd::v1::types::Process& process) {
  ProcessIo io;
  io.terminal_ = process.terminal();
  absl::StatusOr<FifoSet> fifos =
      FifoSet::Attach(process.stdin(), process.stdout(), process.stderr());
  if (!fifos.ok()) return fifos.status();
  io.fifos_.emplace(*std::move(fifos));
  return io;
}

absl::Status ProcessIo::StartOutput() {
  if (!fifos_) return absl::OkStatus();
  ASSIGN_OR_RETURN(output_, CopyOut(fifos_->TakeOut(), STDOUT_FILENO));
  ASSIGN_OR_RETURN(errors_, CopyOut(fifos_->TakeErr(), STDERR_FILENO));
  return absl::OkStatus();
}

absl::Status ProcessIo::StartInput(std::function<void()> at_end, const RawTerminal* terminal) {
  if (!fifos_) return absl::OkStatus();
  kernel::UniqueFd fifo = fifos_->OpenIn();
  if (!fifo) return absl::OkStatus();
  StreamCopier::Ends ends;
  ends.from = terminal != nullptr ? terminal->fd() : STDIN_FILENO;
  ends.to = fifo.get();
  ends.owned_to = std::move(fifo);
  ends.awaits_reader = true;  // containerd's shim opens the pipe of an exec after it was started
  // The shim keeps the pipe open until it is told.
  ends.at_end = std::move(at_end);
  ASSIGN_OR_RETURN(input_, StreamCopier::Start(std::move(ends)));
  return absl::OkStatus();
}

void ProcessIo::StopInput() { input_ = StreamCopier(); }

void ProcessIo::FinishOutput(SignalSource& signals) {
  bool asked_to_end = false;
  for (StreamCopier* copier : {&output_, &errors_}) {
    std::array<pollfd, 2> waits = {pollfd{.fd = copier->ended_fd(), .events = POLLIN, .revents = 0},
                                   pollfd{.fd = signals.fd(), .events = POLLIN, .revents = 0}};
    while (waits[0].fd >= 0 && waits[0].revents == 0 && !asked_to_end) {
      if (::poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) break;
      while (const std::optional<int> signal = signals.Next()) {
        asked_to_end = asked_to_end || AsksToEnd(*signal);
      }
    }
    *copier = StreamCopier();
  }
}

void ProcessIo::Keep() {
  if (fifos_) fifos_->Keep();
}

}  // namespace gantry::gctr
