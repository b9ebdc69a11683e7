// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/process/stream_copier.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"

namespace gantry::gctr {
namespace {

constexpr size_t kBufferBytes = size_t{64} << 10;
constexpr int kReaderPollMilliseconds = 5;
constexpr int kForegroundPollMilliseconds = 100;

// Waits for `events` or the other side's end; false when cancelled.
bool WaitFor(int fd, short events, int cancel) {
  std::array<pollfd, 2> waits = {pollfd{.fd = fd, .events = events, .revents = 0},
                                 pollfd{.fd = cancel, .events = POLLIN, .revents = 0}};
  while (::poll(waits.data(), waits.size(), -1) < 0) {
    if (errno != EINTR) return false;
  }
  return waits[1].revents == 0;
}

// A write to a pipe without a reader fails then, on this thread.
void BlockPipeSignal() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

// False when cancelled.
bool Pause(int milliseconds, int cancel) {
  pollfd cancelled{.fd = cancel, .events = POLLIN, .revents = 0};
  return ::poll(&cancelled, 1, milliseconds) <= 0;
}

// Nothing tells of a reader's coming, so it is looked for. False when cancelled.
bool AwaitReader(int fd, int cancel) {
  while (true) {
    pollfd pipe{.fd = fd, .events = POLLOUT, .revents = 0};
    if (::poll(&pipe, 1, 0) >= 0 && (pipe.revents & POLLERR) == 0) return true;
    if (!Pause(kReaderPollMilliseconds, cancel)) return false;
  }
}

// Whether `fd` is gctr's terminal while another job has it: reads fail then, as gctr takes SIGTTIN.
bool IsInBackground(int fd) {
  const pid_t foreground = ::tcgetpgrp(fd);
  return foreground > 0 && foreground != ::getpgrp();
}

// Bytes read, 0 at the end and on errors; -1 when cancelled.
ssize_t ReadSome(int fd, std::vector<char>& buffer, int cancel) {
  while (WaitFor(fd, POLLIN, cancel)) {
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count >= 0) return count;
    if (errno == EIO && IsInBackground(fd)) {
      if (!Pause(kForegroundPollMilliseconds, cancel)) return -1;
    } else if (errno != EAGAIN && errno != EINTR) {
      return 0;
    }
  }
  return -1;
}

// How much can be written once `fd` is ready without blocking, where nothing could cancel it.
size_t WriteLimit(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && (flags & O_NONBLOCK) != 0 ? kBufferBytes : PIPE_BUF;
}

bool WriteAll(int fd, std::string_view bytes, int cancel) {
  const size_t limit = WriteLimit(fd);
  while (!bytes.empty()) {
    if (!WaitFor(fd, POLLOUT, cancel)) return false;
    const ssize_t count = ::write(fd, bytes.data(), std::min(bytes.size(), limit));
    if (count >= 0) {
      bytes.remove_prefix(static_cast<size_t>(count));
    } else if (errno != EAGAIN && errno != EINTR) {
      return false;
    }
  }
  return true;
}

void Signal(int event_fd) {
  const uint64_t one = 1;
  if (::write(event_fd, &one, sizeof one) < 0) {
    // It is full of what was told already.
  }
}

void Copy(StreamCopier::Ends ends, int cancel) {
  if (ends.awaits_reader) {
    BlockPipeSignal();
    if (!AwaitReader(ends.to, cancel)) return;
  }
  std::vector<char> buffer(kBufferBytes);
  while (true) {
    const ssize_t count = ReadSome(ends.from, buffer, cancel);
    if (count < 0) return;
    if (count == 0) break;
    if (!WriteAll(ends.to, {buffer.data(), static_cast<size_t>(count)}, cancel)) return;
  }
  ends.owned_to.Reset();  // before `at_end` tells that nothing comes any more
  if (ends.at_end) ends.at_end();
}

}  // namespace

absl::StatusOr<StreamCopier> StreamCopier::Start(Ends ends) {
  StreamCopier copier;
  copier.cancel_.Reset(::eventfd(0, EFD_CLOEXEC));
  copier.ended_.Reset(::eventfd(0, EFD_CLOEXEC));
  if (!copier.cancel_ || !copier.ended_) return FromErrno(errno, "eventfd");
  copier.thread_ =
      std::jthread([ends = std::make_unique<Ends>(std::move(ends)), cancel = copier.cancel_.get(),
                    ended = copier.ended_.get()]() mutable {
        Copy(std::move(*ends), cancel);
        Signal(ended);
      });
  return copier;
}

StreamCopier& StreamCopier::operator=(StreamCopier&& other) noexcept {
  Cancel();
  Join();
  cancel_ = std::move(other.cancel_);
  ended_ = std::move(other.ended_);
  thread_ = std::move(other.thread_);
  return *this;
}

StreamCopier::~StreamCopier() {
  Cancel();
  Join();
}

void StreamCopier::Cancel() {
  if (cancel_) Signal(cancel_.get());
}

void StreamCopier::Join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace gantry::gctr
