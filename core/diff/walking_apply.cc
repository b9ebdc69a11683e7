// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>
#include <utility>

#include "core/archive/apply.h"
#include "core/base/status.h"
#include "core/compression/layer_media_type.h"
#include "core/diff/apply_target.h"
#include "core/diff/walking_differ.h"
#include "core/kernel/user_namespace.h"
#include "core/log/log.h"

namespace gantry::diff {
namespace {

void LogWarnings(const Context& ctx, const Descriptor& layer, const archive::Warnings& warnings) {
  for (const auto& [kind, warning] : warnings) {
    log::Warn("layer not unpacked to the letter", {{"ns", ctx.ns},
                                                   {"digest", layer.digest},
                                                   {"kind", kind},
                                                   {"count", warning.count},
                                                   {"first", warning.first}});
  }
}

}  // namespace

WalkingDiffer::WalkingDiffer(content::ContentStore& content, const mount::TempMounts& temp_mounts,
                             Options options)
    : content_(content),
      temp_mounts_(temp_mounts),
      options_(std::move(options)),
      in_user_namespace_(kernel::InUserNamespace()) {}

absl::StatusOr<mount::ScopedActivation> WalkingDiffer::Activate(const Context& ctx,
                                                                const mount::Mounts& mounts) {
  if (options_.activate == nullptr) return mount::ScopedActivation(mounts);
  auto activation = options_.activate(ctx, mounts);
  if (!activation.ok()) return Annotate(activation.status(), "activate mounts");
  return activation;
}

absl::StatusOr<Descriptor> WalkingDiffer::Apply(const Context& ctx, const Descriptor& layer,
                                                const mount::Mounts& mounts,
                                                const ApplyOptions& options) {
  ASSIGN_OR_RETURN(const mount::ScopedActivation activation, Activate(ctx, mounts));
  ASSIGN_OR_RETURN(const LayerPipeline::Result result,
                   Unpack(ctx, layer, activation.mounts(), options));
  return Descriptor{.media_type = std::string(compression::kOciLayer),
                    .digest = result.digest.str(),
                    .size = static_cast<int64_t>(result.size_bytes)};
}

absl::StatusOr<LayerPipeline::Result> WalkingDiffer::Unpack(const Context& ctx,
                                                            const Descriptor& layer,
                                                            const mount::Mounts& mounts,
                                                            const ApplyOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<content::BlobReader> blob, content_.Open(ctx, layer.digest));
  ASSIGN_OR_RETURN(const ProcessorPlan plan, PlanProcessors(layer.media_type, options_.processors));
  ASSIGN_OR_RETURN(ApplyTarget target, ApplyTarget::Open(mounts, temp_mounts_, in_user_namespace_));
  const auto blob_bytes = static_cast<uint64_t>(blob->size());
  auto stream = std::make_shared<std::unique_ptr<Reader>>(
      std::make_unique<BlobStream>(std::move(blob), options.progress));
  LayerPipeline pipeline(
      ctx,
      [&, stream](const Context& stage_ctx) {
        return OpenLayer(stage_ctx, plan, options_.processors, options.payloads,
                         std::move(*stream));
      },
      blob_bytes, options_.limits);
  archive::ApplyOptions apply_options = target.options();
  if (options_.limits.max_inodes > 0) {
    apply_options.limits.max_entries = options_.limits.max_inodes;
  }
  ASSIGN_OR_RETURN(const archive::ApplyResult applied,
                   archive::Apply(ctx, pipeline.tar(), target.root(), apply_options));
  LogWarnings(ctx, layer, applied.warnings);
  const LayerPipeline::Result result = pipeline.Finish();
  if (options.sync_fs) RETURN_IF_ERROR(target.Sync());
  RETURN_IF_ERROR(target.Close());
  return result;
}

}  // namespace gantry::diff
