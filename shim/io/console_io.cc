// SPDX-License-Identifier: Apache-2.0
#include "shim/io/console_io.h"

#include <utility>

#include "shim/io/fifo_io.h"

namespace gantry::shim {

ConsoleIo::ConsoleIo(IoContext& context, StdioRequest request)
    : context_(context), request_(std::move(request)), ended_(context.loop) {}

Co<kernel::Result<void>> ConsoleIo::DoPrepare(Time deadline) {
  StdioRequest without_terminal = request_;
  without_terminal.terminal = false;
  auto target = ModeOf(without_terminal);
  if (!target) co_return target.error();
  if (*target == StdioMode::kFile) {
    auto file = LogFile::Open(request_.out);
    if (!file) co_return file.error();
    file_ = *std::move(file);
    file_->followers()->Ended(OutputStream::kStderr);  // a terminal has one stream
  } else if (*target == StdioMode::kLogger) {
    auto started = co_await StartLogger(context_, request_, deadline);
    if (!started) co_return started.error();
    pipes_ = *std::move(started);
    if (auto set = SetNonBlocking(pipes_.out.get()); !set) co_return set;
  } else if (*target == StdioMode::kStream) {
    streams_.emplace(context_);
    without_terminal.err.clear();
    if (auto named = streams_->Name(without_terminal); !named) co_return named;
    if (stdin_closed_) streams_->CloseStdin();
  }
  auto socket = ConsoleSocket::Listen(request_.bundle);
  if (!socket) co_return socket.error();
  socket_.emplace(*std::move(socket));
  co_return kernel::Result<void>();
}

std::array<kernel::Stdio, 3> ConsoleIo::RuntimeStdio() const {
  return {kernel::Stdio::Null(), kernel::Stdio::Pipe(), kernel::Stdio::Pipe()};
}

Co<kernel::Result<Endpoint>> ConsoleIo::OpenTarget(Time deadline) {
  if (file_) co_return MakeLogEnd(file_, OutputStream::kStdout);
  if (pipes_.out) co_return MakeEndpoint(std::move(pipes_.out), EndKind::kPipe);
  if (streams_) {
    auto met = co_await streams_->Meet(deadline);
    if (!met) co_return met.error();
    co_return streams_->BeginTerminalOutput();
  }
  auto path = FifoPath(request_.out);
  if (!path) co_return path.error();
  co_return co_await OpenOutput(context_, *std::move(path), deadline);
}

kernel::Result<Endpoint> ConsoleIo::OpenSource() {
  if (request_.in.empty()) return Endpoint();
  if (streams_) return streams_->BeginTerminalInput();
  auto path = FifoPath(request_.in);
  if (!path) return path.error();
  return OpenInput(*path);
}

Co<kernel::Result<void>> ConsoleIo::DoConnect(Time deadline) {
  auto master = co_await socket_->Receive(context_.loop, deadline);
  socket_.reset();
  if (!master) co_return master.error();
  if (auto set = SetNonBlocking(master->get()); !set) co_return set;
  auto input = OpenSource();
  if (!input) co_return input.error();
  auto target = co_await OpenTarget(deadline);
  if (!target) co_return target.error();
  terminal_.emplace(context_, *std::move(master), *std::move(input), *std::move(target),
                    [this] { ended_.Set(); });
  if (stdin_closed_) terminal_->CloseStdin();
  if (exited_) terminal_->HangUp();
  co_return kernel::Result<void>();
}

void ConsoleIo::CloseStdin() {
  stdin_closed_ = true;
  if (streams_) streams_->CloseStdin();
  if (terminal_) terminal_->CloseStdin();
}

kernel::Result<void> ConsoleIo::Resize(uint16_t width, uint16_t height) {
  return terminal_ ? terminal_->Resize(width, height) : kernel::Result<void>();
}

kernel::Result<void> ConsoleIo::ReopenLog() {
  return file_ ? file_->Reopen() : ProcessIo::ReopenLog();
}

std::shared_ptr<LogFollowers> ConsoleIo::followers() const {
  return file_ ? file_->followers() : nullptr;
}

void ConsoleIo::ProcessExited() {
  exited_ = true;
  if (terminal_) terminal_->HangUp();
  if (streams_) streams_->Hurry();
}

Co<bool> ConsoleIo::Drain(Time deadline) {
  const bool ended = co_await ended_.Wait(deadline);
  if (!ended || !streams_) co_return ended;
  co_return co_await streams_->Drain(deadline);
}

Co<void> ConsoleIo::Close() {
  const std::unique_ptr<Logger> logger = std::move(pipes_.logger);
  Release();
  if (logger) co_await logger->Stop();
}

void ConsoleIo::Release() {
  socket_.reset();
  if (terminal_) terminal_->Close();
  if (streams_) streams_->Close();
  file_.reset();
  pipes_ = {};
  ended_.Set();
}

}  // namespace gantry::shim
