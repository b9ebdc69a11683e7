// SPDX-License-Identifier: Apache-2.0
// From a blob to the tar archive in it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/context.h"
#include "core/base/stream.h"
#include "core/config/config.h"
#include "core/content/content.h"

namespace gantry::diff {

// Stream processors by their id, as the configuration has them.
using StreamProcessors = std::map<std::string, config::StreamProcessor>;

// How to come from a media type to an uncompressed tar layer.
struct ProcessorPlan {
  struct Step {
    std::string id;
    std::string media_type;  // of its input
  };
  std::vector<Step> steps;  // programs, in order
  bool decompress = false;  // what comes out of them, whatever its bytes show it to be
};

// Configured processors win over what is built in; of several that accept a type, the last by id.
// UnknownMediaType() when there is no way; InvalidArgument when there is no end to it.
absl::StatusOr<ProcessorPlan> PlanProcessors(std::string_view media_type,
                                             const StreamProcessors& processors);

// Reads a blob from its start.
//
// Threads: one at a time.
class BlobStream final : public Reader {
 public:
  // `progress` may be empty; it is told the bytes consumed before each read and at the end.
  BlobStream(std::unique_ptr<content::BlobReader> blob, std::function<void(int64_t)> progress)
      : blob_(std::move(blob)), progress_(std::move(progress)) {}
  ~BlobStream() override;

  absl::StatusOr<size_t> Read(std::span<char> buffer) override;

 private:
  const std::unique_ptr<content::BlobReader> blob_;
  const std::function<void(int64_t)> progress_;
  int64_t offset_ = 0;
};

// Starts the programs of `plan` on `blob`. `payloads` are by processor id. `ctx` bounds every wait
// for a program.
absl::StatusOr<std::unique_ptr<Reader>> OpenLayer(
    const Context& ctx, const ProcessorPlan& plan, const StreamProcessors& processors,
    const std::map<std::string, std::string, std::less<>>& payloads, std::unique_ptr<Reader> blob);

}  // namespace gantry::diff
