// SPDX-License-Identifier: Apache-2.0
#include "shim/io/transfer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

namespace gantry::shim {
namespace {

// A pipe that can be written to takes a page whole.
constexpr size_t kPageBytes = 4096;

size_t Waiting(int fd) {
  int waiting = 0;
  return ::ioctl(fd, FIONREAD, &waiting) == 0 && waiting > 0 ? static_cast<size_t>(waiting) : 0;
}

}  // namespace

Transfer::Transfer(CopyBuffer& buffer, const Endpoint& source, const Endpoint& target)
    : buffer_(buffer),
      source_(source.get()),
      source_kind_(source.kind),
      target_(target.get()),
      log_(target.log.get()),
      target_kind_(target.kind) {}

struct Transfer::Step {
  size_t moved = 0;
  std::optional<Next> next;  // absent: go on
};

Transfer::Next Transfer::Move() {
  for (size_t moved = 0; moved < kTurnBytes;) {
    if (!WritePending()) return target_gone_ ? Next::kTargetGone : Next::kTarget;
    const Step step = MoveOnce(kTurnBytes - moved);
    if (target_gone_) return Next::kTargetGone;
    if (step.next) return *step.next;
    moved += step.moved;
  }
  return Next::kAgain;
}

void Transfer::DropTarget() {
  target_kind_ = EndKind::kNothing;
  target_gone_ = false;
  pending_ = {};
}

Transfer::Step Transfer::MoveOnce(size_t limit) {
  if (source_kind_ != EndKind::kPipe) return Copy(0);
  const size_t waiting = Waiting(source_);
  const bool splice = target_kind_ == EndKind::kPipe && can_splice_ && waiting >= kPageBytes;
  return splice ? Splice(limit) : Copy(waiting);
}

Transfer::Step Transfer::Splice(size_t limit) {
  const ssize_t count =
      ::splice(source_, nullptr, target_, nullptr, limit, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (count > 0) return {.moved = static_cast<size_t>(count)};
  if (count < 0 && errno == EINTR) return {};
  if (count < 0 && errno == EAGAIN) return {.next = Next::kTarget};  // the source has data
  target_gone_ = count < 0 && errno == EPIPE;
  can_splice_ = target_gone_;  // else copying tells more
  return {};
}

// True when reading would only take what cannot be passed on.
bool Transfer::MustWaitForTarget() const {
  if (target_kind_ != EndKind::kPipe) return false;
  pollfd target{.fd = target_, .events = POLLOUT, .revents = 0};
  return ::poll(&target, 1, 0) == 0;
}

Transfer::Step Transfer::Copy(size_t waiting) {
  // A pipe with nothing in it may have ended, which only reading tells. Of a terminal nothing is
  // known before it is read.
  if ((waiting > 0 || source_kind_ != EndKind::kPipe) && MustWaitForTarget())
    return {.next = Next::kTarget};
  const std::span<char> buffer = buffer_.Lend();
  if (buffer.empty()) return {.next = Next::kAgain};
  const bool may_be_full = target_kind_ == EndKind::kPipe || target_kind_ == EndKind::kTerminal;
  const size_t asked = may_be_full ? kPageBytes : buffer.size();
  const ssize_t count = ::read(source_, buffer.data(), asked);
  Step step = AfterRead(count, asked);
  if (count > 0 && !Write(buffer.data(), static_cast<size_t>(count))) step.next = Next::kTarget;
  return step;
}

Transfer::Step Transfer::AfterRead(ssize_t count, size_t asked) {
  if (count > 0) {
    Step step{.moved = static_cast<size_t>(count)};
    // A pipe is looked at again when it is ready again; a terminal must be read empty.
    if (source_kind_ == EndKind::kPipe && step.moved < asked) step.next = Next::kSource;
    return step;
  }
  if (count < 0 && errno == EINTR) return {};
  const bool empty = count < 0 && errno == EAGAIN;
  // A terminal that no process holds open for now gives EIO.
  const bool closed_for_now = source_kind_ == EndKind::kTerminal && (count == 0 || errno == EIO);
  if ((empty || closed_for_now) && !source_done_) return {.next = Next::kSource};
  return {.next = Next::kEnd};
}

// False when the target is full; then `pending_` has the rest.
bool Transfer::Write(const char* data, size_t size) {
  if (target_kind_ == EndKind::kNothing) return true;
  if (target_kind_ == EndKind::kLog) {
    log_->Write({data, size});
    return true;
  }
  while (size > 0) {
    const ssize_t count = ::write(target_, data, size);
    if (count >= 0) {
      data += count;
      size -= static_cast<size_t>(count);
    } else if (errno == EAGAIN) {
      pending_.assign(data, size);
      return false;
    } else if (errno == EPIPE) {
      target_gone_ = true;
      return true;
    } else if (errno != EINTR) {
      return true;
    }
  }
  return true;
}

bool Transfer::WritePending() {
  if (pending_.empty()) return true;
  const std::string data = std::exchange(pending_, {});
  return Write(data.data(), data.size()) && !target_gone_;
}

}  // namespace gantry::shim
