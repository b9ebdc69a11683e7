// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace gantry::wire {

// Bytes waiting to be written to a peer.
class OutputQueue {
 public:
  // Valid until the queue changes.
  std::string_view front() const { return std::string_view(buffer_).substr(start_); }
  size_t size() const { return buffer_.size() - start_; }
  bool empty() const { return size() == 0; }

  // `count` bytes of front() were written.
  void Consume(size_t count) {
    start_ += count;
    if (start_ == buffer_.size()) {
      if (buffer_.capacity() > kKeptBytes) buffer_ = {};
      buffer_.clear();
      start_ = 0;
    } else if (start_ > kKeptBytes && start_ > buffer_.size() / 2) {
      buffer_.erase(0, start_);
      start_ = 0;
    }
  }

  // Where frames are added.
  std::string& back() { return buffer_; }

 private:
  static constexpr size_t kKeptBytes = 65536;
  std::string buffer_;
  size_t start_ = 0;
};

}  // namespace gantry::wire
