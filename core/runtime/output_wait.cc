// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/output_wait.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "core/kernel/unique_fd.h"

namespace gantry::runtime {
namespace {

constexpr absl::Duration kBetweenLooks = absl::Milliseconds(1);
constexpr absl::Duration kSilence = absl::Milliseconds(50);   // of a writer that stays
constexpr absl::Duration kUntaken = absl::Milliseconds(200);  // nobody reads
constexpr absl::Duration kLongest = absl::Seconds(2);

// The reading end of a fifo, which takes nothing out of it. Nothing for what is no fifo: other
// files may do things when they are opened.
kernel::UniqueFd OpenFifo(const std::string& path) {
  const kernel::UniqueFd place(::open(path.c_str(), O_PATH | O_CLOEXEC));
  struct stat info = {};
  if (!place || ::fstat(place.get(), &info) != 0 || !S_ISFIFO(info.st_mode)) return {};
  const std::string again = "/proc/self/fd/" + std::to_string(place.get());
  return kernel::UniqueFd(::open(again.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
}

// How much is in the fifo; nothing if that is all there will be.
std::optional<size_t> BytesLeft(int fifo) {
  int bytes = 0;
  if (::ioctl(fifo, FIONREAD, &bytes) != 0) return std::nullopt;
  if (bytes > 0) return static_cast<size_t>(bytes);
  // poll() does not see the end of a stream that had ended when the fifo was opened, and read()
  // would take bytes away from whom they are for. tee() copies, and knows the end.
  std::array<int, 2> ends = {-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) return std::nullopt;
  const kernel::UniqueFd out(ends[0]);
  const kernel::UniqueFd in(ends[1]);
  const ssize_t copied = ::tee(fifo, in.get(), 1, SPLICE_F_NONBLOCK);
  if (copied > 0) return static_cast<size_t>(copied);
  if (copied < 0 && errno == EAGAIN) return size_t{0};
  return std::nullopt;
}

// One fifo over time.
class Stream {
 public:
  explicit Stream(kernel::UniqueFd fifo) : fifo_(std::move(fifo)) {}

  // Whether it is worth waiting for more to happen to it.
  bool Flows(absl::Time now) {
    const std::optional<size_t> left = BytesLeft(fifo_.get());
    if (!left) return false;
    if (*left != left_) {
      left_ = *left;
      changed_ = now;
    }
    return now - changed_ < (left_ == 0 ? kSilence : kUntaken);
  }

 private:
  kernel::UniqueFd fifo_;
  size_t left_ = 0;
  absl::Time changed_ = absl::Now();
};

class Wait : public std::enable_shared_from_this<Wait> {
 public:
  Wait(TaskEnv& env, std::vector<std::string> paths, absl::AnyInvocable<void()> then)
      : env_(env), paths_(std::move(paths)), then_(std::move(then)) {}

  void Begin() {
    env_.shims.steps().Run([self = shared_from_this()] {
      for (const std::string& path : self->paths_) {
        if (kernel::UniqueFd fifo = OpenFifo(path)) self->streams_.emplace_back(std::move(fifo));
      }
      self->Look();
    });
  }

 private:
  void Look() {
    const absl::Time now = absl::Now();
    std::erase_if(streams_, [now](Stream& stream) { return !stream.Flows(now); });
    if (streams_.empty() || now >= end_) {
      streams_.clear();
      return std::exchange(then_, nullptr)();
    }
    env_.shims.loop().After(kBetweenLooks, [self = shared_from_this()] {
      self->env_.shims.steps().Run([self] { self->Look(); });
    });
  }

  TaskEnv& env_;
  const std::vector<std::string> paths_;
  const absl::Time end_ = absl::Now() + kLongest;
  std::vector<Stream> streams_;
  absl::AnyInvocable<void()> then_;
};

}  // namespace

void AwaitOutput(TaskEnv& env, const Stdio& stdio, absl::AnyInvocable<void()> then) {
  std::vector<std::string> paths;
  for (const std::string& path : {stdio.out, stdio.err}) {
    // Others are URIs of what keeps the output.
    if (path.starts_with('/') && (paths.empty() || paths.front() != path)) paths.push_back(path);
  }
  if (paths.empty()) return then();
  std::make_shared<Wait>(env, std::move(paths), std::move(then))->Begin();
}

}  // namespace gantry::runtime
