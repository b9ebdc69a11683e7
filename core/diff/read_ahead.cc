// SPDX-License-Identifier: Apache-2.0
#include "core/diff/read_ahead.h"

#include <pthread.h>

#include <span>
#include <utility>

namespace gantry::diff {

ReadAhead::ReadAhead(std::unique_ptr<Reader> source) : source_(std::move(source)) {
  thread_ = std::thread([this] {
    ::pthread_setname_np(::pthread_self(), "decompress");
    Loop();
  });
}

ReadAhead::~ReadAhead() {
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  thread_.join();
}

bool ReadAhead::Push(std::string block) {
  base::MutexLock lock(mutex_);
  while (full_.size() >= kBlocks && !stopping_) changed_.Wait(mutex_);
  if (stopping_) return false;
  full_.push_back(std::move(block));
  changed_.NotifyAll();
  return true;
}

void ReadAhead::Loop() {
  absl::Status end = absl::OkStatus();
  for (;;) {
    std::string block(kBlockBytes, '\0');
    size_t filled = 0;
    bool more = true;
    while (filled < block.size()) {
      const absl::StatusOr<size_t> count = source_->Read(std::span<char>(block).subspan(filled));
      if (!count.ok()) end = count.status();
      more = count.ok() && *count > 0;
      if (!more) break;
      filled += *count;
    }
    block.resize(filled);
    if (filled > 0 && !Push(std::move(block))) return;
    if (!more) break;
  }
  base::MutexLock lock(mutex_);
  end_ = std::move(end);
  ended_ = true;
  changed_.NotifyAll();
}

absl::StatusOr<std::string_view> ReadAhead::NextBlock() {
  base::MutexLock lock(mutex_);
  while (full_.empty() && !ended_) changed_.Wait(mutex_);
  if (full_.empty()) {
    if (!end_.ok()) return end_;
    return std::string_view();
  }
  current_ = std::move(full_.front());
  full_.pop_front();
  changed_.NotifyAll();
  return std::string_view(current_);
}

}  // namespace gantry::diff
