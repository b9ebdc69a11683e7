// SPDX-License-Identifier: Apache-2.0
#include "core/diff/diff_sink.h"

#include <pthread.h>

#include <algorithm>

#include "core/base/status.h"

namespace gantry::diff {

DiffSink::DiffSink(const Context& ctx, compression::Algorithm algorithm, Writer& store)
    : ctx_(ctx), pipe_(/*readers=*/2) {
  hashing_ = std::jthread([this] {
    ::pthread_setname_np(::pthread_self(), "diff-hash");
    for (;;) {
      const auto block = pipe_.reader(0).NextBlock();
      if (!block.ok() || block->empty()) return;
      hasher_.Update(*block);
    }
  });
  storing_ = std::jthread([this, algorithm, &store] {
    ::pthread_setname_np(::pthread_self(), "diff-store");
    stored_ = Store(algorithm, store);
    if (!stored_.ok()) pipe_.Abandon();
  });
}

DiffSink::~DiffSink() { pipe_.Abandon(); }

absl::Status DiffSink::Store(compression::Algorithm algorithm, Writer& store) {
  const auto compressor = compression::NewCompressor(algorithm, store);
  for (;;) {
    ASSIGN_OR_RETURN(const std::string_view block, pipe_.reader(1).NextBlock());
    if (block.empty()) return compressor->Finish();
    RETURN_IF_ERROR(compressor->Write(block));
  }
}

absl::Status DiffSink::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    if (block_.empty()) {
      RETURN_IF_ERROR(ctx_.Check());
      block_ = pipe_.Reserve();
      filled_ = 0;
      if (block_.empty()) return Cancelled("the store failed");  // Finish() tells why
    }
    const size_t count = bytes.copy(block_.data() + filled_, block_.size() - filled_);
    filled_ += count;
    bytes.remove_prefix(count);
    if (filled_ < block_.size()) continue;
    pipe_.Publish(filled_);
    block_ = {};
  }
  return absl::OkStatus();
}

absl::StatusOr<DiffSink::Result> DiffSink::Finish(const absl::Status& written) {
  if (!written.ok()) {
    pipe_.Abandon();
  } else if (!block_.empty()) {
    pipe_.Publish(filled_);
    block_ = {};
  }
  pipe_.End(absl::OkStatus());
  storing_.join();
  hashing_.join();
  // An abandoned pipe is what stopped the store then, not its own trouble.
  if (!stored_.ok() && !absl::IsCancelled(stored_)) return stored_;
  if (!written.ok()) return written;
  if (!stored_.ok()) return stored_;
  return Result{hasher_.Current()};
}

}  // namespace gantry::diff
