// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>
#include <thread>

#include "absl/status/statusor.h"
#include "core/base/context.h"
#include "core/base/stream.h"
#include "core/compression/compression.h"
#include "core/diff/block_pipe.h"
#include "core/digest/digest.h"

namespace gantry::diff {

// Takes a tar archive, hashes it on one thread, and on another compresses and stores it, while the
// caller makes more of it.
//
// Threads: one at a time.
class DiffSink final : public Writer {
 public:
  // `store` outlives the sink and is used from its thread until Finish() returns.
  DiffSink(const Context& ctx, compression::Algorithm algorithm, Writer& store);
  ~DiffSink() override;
  DiffSink(const DiffSink&) = delete;
  DiffSink& operator=(const DiffSink&) = delete;

  absl::Status Write(std::string_view bytes) override;

  struct Result {
    Digest diff_id;  // of the archive
  };
  // Ends the archive, or gives it up when writing it failed: `written`, or the reason why the store
  // failed, comes back then.
  absl::StatusOr<Result> Finish(const absl::Status& written);

 private:
  absl::Status Store(compression::Algorithm algorithm, Writer& store);

  const Context& ctx_;
  BlockPipe pipe_;
  std::span<char> block_;  // reserved, being filled
  size_t filled_ = 0;
  Hasher hasher_;
  absl::Status stored_ = absl::OkStatus();  // the storing thread's, until it is joined
  std::jthread hashing_;
  std::jthread storing_;
};

}  // namespace gantry::diff
