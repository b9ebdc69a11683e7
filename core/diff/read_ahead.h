// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "core/base/mutex.h"
#include "core/base/stream.h"

namespace gantry::diff {

// Reads a source on a thread of its own, a bounded number of blocks ahead of who takes them:
// decompression runs beside unpacking.
//
// Ownership: owns the source and the thread; destruction stops both. Memory: kBlocks of
// kBlockBytes. Threads:   one reader.
class ReadAhead final : public BlockReader {
 public:
  static constexpr size_t kBlockBytes = size_t{256} << 10;
  static constexpr size_t kBlocks = 8;

  explicit ReadAhead(std::unique_ptr<Reader> source);
  ~ReadAhead() override;
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  absl::StatusOr<std::string_view> NextBlock() override;

 private:
  void Loop();
  // False once nobody wants more.
  bool Push(std::string block);

  const std::unique_ptr<Reader> source_;
  base::Mutex mutex_;
  base::CondVar changed_;
  std::deque<std::string> full_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status end_ ABSL_GUARDED_BY(mutex_) = absl::OkStatus();
  std::string current_;  // the reader's
  std::thread thread_;
};

}  // namespace gantry::diff
