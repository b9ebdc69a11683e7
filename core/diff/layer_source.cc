// SPDX-License-Identifier: Apache-2.0
#include "core/diff/layer_source.h"

#include <algorithm>
#include <utility>

#include "core/base/status.h"
#include "core/compression/compression.h"
#include "core/compression/layer_media_type.h"
#include "core/diff/differ.h"
#include "core/diff/process_stream.h"

namespace gantry::diff {
namespace {

constexpr size_t kMaxSteps = 16;

// The id of the processor that takes `media_type`, or nothing.
const std::string* FindProcessor(std::string_view media_type, const StreamProcessors& processors) {
  for (auto each = processors.rbegin(); each != processors.rend(); ++each) {
    if (std::ranges::find(each->second.accepts, media_type) != each->second.accepts.end()) {
      return &each->first;
    }
  }
  return nullptr;
}

ProcessSpec SpecOf(const ProcessorPlan::Step& step, const config::StreamProcessor& processor,
                   const std::map<std::string, std::string, std::less<>>& payloads) {
  ProcessSpec spec = {.id = step.id,
                      .path = processor.path,
                      .arguments = processor.args,
                      .environment = processor.env,
                      .media_type = step.media_type,
                      .payload = {}};
  if (const auto payload = payloads.find(step.id); payload != payloads.end()) {
    spec.payload = payload->second;
  }
  return spec;
}

}  // namespace

absl::StatusOr<ProcessorPlan> PlanProcessors(std::string_view media_type,
                                             const StreamProcessors& processors) {
  ProcessorPlan plan;
  std::string type(media_type);
  do {
    const std::string* id = FindProcessor(type, processors);
    if (id == nullptr) {
      if (!compression::LayerCompressionOf(type)) {
        return UnknownMediaType(media_type);
      }
      plan.decompress = true;
      break;
    }
    if (plan.steps.size() == kMaxSteps) {
      return InvalidArgument("media type {:?}: more than {} stream processors", media_type,
                             kMaxSteps);
    }
    plan.steps.push_back({*id, type});
    type = processors.at(*id).returns;
  } while (type != compression::kOciLayer);
  return plan;
}

BlobStream::~BlobStream() {
  if (progress_) progress_(offset_);
}

absl::StatusOr<size_t> BlobStream::Read(std::span<char> buffer) {
  if (progress_) progress_(offset_);
  ASSIGN_OR_RETURN(const size_t count, blob_->ReadAt(offset_, buffer));
  offset_ += static_cast<int64_t>(count);
  return count;
}

absl::StatusOr<std::unique_ptr<Reader>> OpenLayer(
    const Context& ctx, const ProcessorPlan& plan, const StreamProcessors& processors,
    const std::map<std::string, std::string, std::less<>>& payloads, std::unique_ptr<Reader> blob) {
  std::unique_ptr<ProcessStream> process;
  for (const ProcessorPlan::Step& step : plan.steps) {
    const ProcessSpec spec = SpecOf(step, processors.at(step.id), payloads);
    if (process == nullptr) {
      ASSIGN_OR_RETURN(process, ProcessStream::Start(ctx, spec, std::move(blob)));
    } else {
      ASSIGN_OR_RETURN(process, ProcessStream::Start(ctx, spec, std::move(process)));
    }
  }
  std::unique_ptr<Reader> stream = std::move(blob);
  if (process != nullptr) stream = std::move(process);
  if (!plan.decompress) return stream;
  ASSIGN_OR_RETURN(compression::Decompressed plain, compression::Decompress(std::move(stream)));
  return std::move(plain.reader);
}

}  // namespace gantry::diff
