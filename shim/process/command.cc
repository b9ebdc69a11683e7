// SPDX-License-Identifier: Apache-2.0
#include "shim/process/command.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <string_view>
#include <utility>

namespace gantry::shim {
namespace {

constexpr size_t kReadBytes = 4096;
constexpr size_t kMaxPipeBytes = 1UL << 20;  // without CAP_SYS_RESOURCE

void SetNonBlocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

// Keeps the end of what a pipe brings.
class Capture {
 public:
  Capture(Loop& loop, kernel::UniqueFd fd, size_t max_bytes)
      : fd_(std::move(fd)), max_bytes_(max_bytes) {
    if (!fd_) return;
    SetNonBlocking(fd_.get());
    watch_.emplace(loop, fd_.get(), [this](uint32_t) { ReadOnce(); });
    watch_->Arm(EPOLLIN).Ignore();  // then it is read at the end
  }

  // Takes what is there without waiting, at most what a pipe holds.
  std::string Finish() && {
    for (size_t left = kMaxPipeBytes / kReadBytes; fd_ && left > 0; --left) {
      if (!ReadOnce()) break;
    }
    return std::move(text_);
  }

 private:
  bool ReadOnce() {
    std::array<char, kReadBytes> data;
    const ssize_t count = ::read(fd_.get(), data.data(), data.size());
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (count <= 0) {
      watch_.reset();
      fd_.Reset();
      return false;
    }
    text_.append(data.data(), static_cast<size_t>(count));
    if (text_.size() > max_bytes_) text_.erase(0, text_.size() - max_bytes_);
    return true;
  }

  kernel::UniqueFd fd_;
  const size_t max_bytes_;
  std::string text_;
  std::optional<FdWatch> watch_;
};

// Writes a text into a pipe as it is read, then closes it.
class Feed {
 public:
  Feed(Loop& loop, kernel::UniqueFd fd, std::string text)
      : fd_(std::move(fd)), text_(std::move(text)), rest_(text_) {
    if (!fd_) return;
    SetNonBlocking(fd_.get());
    watch_.emplace(loop, fd_.get(), [this](uint32_t) { Write(); });
    Write();
  }

 private:
  void Write() {
    while (!rest_.empty()) {
      const ssize_t count = ::write(fd_.get(), rest_.data(), rest_.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno == EAGAIN && watch_->Arm(EPOLLOUT).ok()) return;
      if (count < 0) break;  // nobody reads
      rest_.remove_prefix(static_cast<size_t>(count));
    }
    watch_.reset();
    fd_.Reset();
  }

  kernel::UniqueFd fd_;
  const std::string text_;
  std::string_view rest_;
  std::optional<FdWatch> watch_;
};

}  // namespace

kernel::Result<Command> Command::Spawn(Loop& loop, Children& children, CommandOptions options) {
  auto process = kernel::Subprocess::Spawn(options.spawn);
  if (!process) return process.error();
  return Command(loop, children, std::move(options), *std::move(process));
}

Command::Command(Loop& loop, Children& children, CommandOptions options, kernel::Subprocess process)
    : loop_(&loop),
      children_(&children),
      options_(std::move(options)),
      pid_(process.pid()),
      input_(process.TakePipe(0)),
      output_(process.TakePipe(1)),
      error_output_(process.TakePipe(2)) {
  // The reaper knows the child by its pid.
  std::move(process).Release().Reset();
}

Co<CommandOutcome> Command::Finish() && {
  // `this` may go at the first wait.
  const pid_t pid = pid_;
  const bool group = options_.spawn.new_session;
  CommandOutcome outcome;
  Feed feed(*loop_, std::move(input_), std::move(options_.input));
  Capture output(*loop_, std::move(output_), options_.max_output_bytes);
  Capture error_output(*loop_, std::move(error_output_), options_.max_output_bytes);
  Timer limit(*loop_, [pid, group, &outcome] {
    outcome.timed_out = true;
    ::kill(group ? -pid : pid, SIGKILL);
  });
  limit.At(options_.deadline);
  outcome.exit = co_await children_->Exited(pid);
  outcome.output = std::move(output).Finish();
  outcome.error_output = std::move(error_output).Finish();
  co_return outcome;
}

Co<kernel::Result<CommandOutcome>> RunCommand(Loop& loop, Children& children,
                                              CommandOptions options) {
  auto command = Command::Spawn(loop, children, std::move(options));
  if (!command) co_return command.error();
  co_return co_await (*std::move(command)).Finish();
}

}  // namespace gantry::shim
