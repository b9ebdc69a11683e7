// SPDX-License-Identifier: Apache-2.0
#include "shim/io/output_head.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>

namespace gantry::shim {
namespace {

constexpr size_t kMaxPipeBytes = 1UL << 20;  // without CAP_SYS_RESOURCE

}  // namespace

OutputHead::OutputHead(IoContext& context, kernel::UniqueFd pipe, size_t max_bytes,
                       std::function<void()> ended)
    : context_(context),
      pipe_(std::move(pipe)),
      max_bytes_(max_bytes),
      ended_(std::move(ended)),
      watch_(std::in_place, context.loop, pipe_.get(), [this](uint32_t) {
        ReadOnce();
        if (!open()) ended_();
      }) {
  watch_->Arm(EPOLLIN).Ignore();  // then it is read when it is cut
}

bool OutputHead::ReadOnce() {
  const std::span<char> buffer = context_.buffer.Lend();
  if (buffer.empty()) return false;  // of memory; the pipe stays ready
  const ssize_t count = ::read(pipe_.get(), buffer.data(), buffer.size());
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (count <= 0) {
    Close();
    return false;
  }
  const auto size = static_cast<size_t>(count);
  const size_t kept = std::min(size, max_bytes_ - text_.size());
  text_.append(buffer.data(), kept);
  truncated_ = truncated_ || kept < size;
  return true;
}

void OutputHead::Cut() {
  for (size_t left = 2 * kMaxPipeBytes / CopyBuffer::kBytes; open() && left > 0; --left) {
    if (!ReadOnce()) break;
  }
  Close();
}

void OutputHead::Close() {
  watch_.reset();
  pipe_.Reset();
}

}  // namespace gantry::shim
