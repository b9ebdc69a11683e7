// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/command.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <utility>

#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/kernel/file.h"

namespace gantry::runtime {
namespace {

// The input as a file, so that nobody has to feed a pipe.
absl::StatusOr<kernel::UniqueFd> InputFile(const std::string& input) {
  kernel::UniqueFd file(::memfd_create("input", MFD_CLOEXEC));
  if (!file) return FromErrno(errno, "create a memory file");
  RETURN_IF_ERROR(ToStatus(kernel::WriteAll(file.get(), input, "input")));
  if (::lseek(file.get(), 0, SEEK_SET) < 0) return FromErrno(errno, "rewind a memory file");
  return file;
}

// Reaps a child that outlived its kill, whenever it ends: waiting for it could take for ever.
void ReapLater(Loop& loop, kernel::UniqueFd pidfd) {
  struct Orphan {
    kernel::UniqueFd pidfd;
    Loop::WatchId watch = 0;
  };
  auto orphan = std::make_shared<Orphan>(Orphan{.pidfd = std::move(pidfd)});
  auto watch = loop.Watch(orphan->pidfd.get(), EPOLLIN, [&loop, orphan](uint32_t) {
    siginfo_t info{};
    ::waitid(P_PIDFD, static_cast<id_t>(orphan->pidfd.get()), &info, WEXITED | WNOHANG);
    loop.Unwatch(orphan->watch);
  });
  if (watch.ok()) orphan->watch = *watch;
}

// A running command. Kept alive by the loop's closures; touched on the loop's thread alone once
// watched.
class Running : public std::enable_shared_from_this<Running> {
 public:
  Running(Loop& loop, Command command, CommandDone done)
      : loop_(loop), command_(std::move(command)), done_(std::move(done)) {}

  absl::Status Start() {
    RETURN_IF_ERROR(Spawn());
    auto self = shared_from_this();
    // Watched from the loop's thread, so that nothing is called before all is in place.
    loop_.Post([self] { self->Watch(); });
    return absl::OkStatus();
  }

  void Fail(const absl::Status& status) { std::exchange(done_, nullptr)(status); }

 private:
  struct Stream {
    kernel::UniqueFd fd;
    Loop::WatchId watch = 0;
    std::string text;
  };

  absl::Status Spawn() {
    ASSIGN_OR_RETURN(const kernel::UniqueFd input, InputFile(command_.input));
    std::array<kernel::UniqueFd, 2> theirs;
    for (size_t i = 0; i < (command_.merge_errors ? 1 : 2); ++i) {
      std::array<int, 2> ends{};
      if (::pipe2(ends.data(), O_CLOEXEC) != 0) return FromErrno(errno, "pipe");
      streams_[i].fd.Reset(ends[0]);
      theirs[i].Reset(ends[1]);
      if (::fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) return FromErrno(errno, "pipe");
    }
    const int errors = theirs[command_.merge_errors ? 0 : 1].get();
    command_.spawn.stdio = {kernel::Stdio::Fd(input.get()), kernel::Stdio::Fd(theirs[0].get()),
                            kernel::Stdio::Fd(errors)};
    command_.spawn.new_session = true;
    auto process = kernel::Subprocess::Spawn(command_.spawn);
    if (!process) return ToStatus(process.error());
    process_.emplace(*std::move(process));
    return absl::OkStatus();
  }

  void Watch() {
    auto self = shared_from_this();
    for (Stream& stream : streams_) {
      if (!stream.fd) continue;
      auto watch = loop_.Watch(stream.fd.get(), EPOLLIN,
                               [self, &stream](uint32_t) { self->OnReadable(stream); });
      if (!watch.ok()) return Kill(watch.status());
      stream.watch = *watch;
    }
    auto watch = loop_.Watch(process_->pidfd(), EPOLLIN, [self](uint32_t) { self->OnExit(); });
    if (!watch.ok()) return Kill(watch.status());
    exit_watch_ = *watch;
    timer_ = loop_.After(command_.budget, [self] {
      self->timer_ = 0;
      self->Kill(DeadlineExceeded("{} took longer than {}", self->command_.spawn.program,
                                  absl::FormatDuration(self->command_.budget)));
    });
  }

  void OnReadable(Stream& stream) {
    if (!Drain(stream)) StopWatching(stream);
    if (stream.text.size() > command_.max_output_bytes) {
      Kill(ResourceExhausted("{} wrote more than {} bytes", command_.spawn.program,
                             command_.max_output_bytes));
    }
  }

  // Reads what is there; false at the end of the stream.
  bool Drain(Stream& stream) {
    std::array<char, 16384> buffer;
    while (stream.text.size() <= command_.max_output_bytes) {
      const ssize_t got = ::read(stream.fd.get(), buffer.data(), buffer.size());
      if (got > 0) {
        stream.text.append(buffer.data(), static_cast<size_t>(got));
      } else if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
        return false;
      } else if (errno == EAGAIN) {
        return true;
      }
    }
    return true;
  }

  void OnExit() {
    auto status = process_->Wait(0);
    for (Stream& stream : streams_) {
      if (stream.fd) Drain(stream);
    }
    if (!status) return Finish(ToStatus(status.error()));
    if (!killed_.ok()) return Finish(killed_);
    Finish(CommandOutput{*status, std::move(streams_[0].text), std::move(streams_[1].text)});
  }

  // Ends the process group; the exit that follows finishes the call with `why`. A process that
  // outlives the signal (stuck in the kernel) is left to itself.
  void Kill(const absl::Status& why) {
    if (!killed_.ok() || done_ == nullptr) return;
    killed_ = why;
    ::kill(-process_->pid(), SIGKILL);
    if (exit_watch_ == 0) return Finish(why);
    auto self = shared_from_this();
    if (timer_ != 0) loop_.Cancel(timer_);
    timer_ = loop_.After(absl::Seconds(1), [self] {
      self->timer_ = 0;
      if (self->done_ == nullptr) return;
      self->Finish(self->killed_);
    });
  }

  void StopWatching(Stream& stream) {
    if (stream.watch != 0) loop_.Unwatch(std::exchange(stream.watch, 0));
    stream.fd.Reset();
  }

  void Finish(absl::StatusOr<CommandOutput> result) {
    if (done_ == nullptr) return;
    auto self = shared_from_this();  // the watches hold the last references
    for (Stream& stream : streams_) StopWatching(stream);
    if (exit_watch_ != 0) loop_.Unwatch(std::exchange(exit_watch_, 0));
    if (timer_ != 0) loop_.Cancel(std::exchange(timer_, 0));
    if (process_ && !process_->Wait(0)) {
      ReapLater(loop_, std::move(*process_).Release());
    }
    std::exchange(done_, nullptr)(std::move(result));
  }

  Loop& loop_;
  Command command_;
  CommandDone done_;
  std::optional<kernel::Subprocess> process_;
  std::array<Stream, 2> streams_;
  Loop::WatchId exit_watch_ = 0;
  Loop::TimerId timer_ = 0;
  absl::Status killed_;
};

}  // namespace

void RunCommand(Loop& loop, Command command, CommandDone done) {
  auto running = std::make_shared<Running>(loop, std::move(command), std::move(done));
  if (const absl::Status started = running->Start(); !started.ok()) running->Fail(started);
}

}  // namespace gantry::runtime
