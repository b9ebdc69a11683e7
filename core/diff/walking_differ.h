// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "core/content/content_store.h"
#include "core/diff/differ.h"
#include "core/diff/layer_pipeline.h"
#include "core/diff/layer_source.h"
#include "core/mount/manager/scoped_activation.h"
#include "core/mount/mount.h"
#include "core/mount/temp_mounts.h"

namespace gantry::diff {

// The differ for everything that can be mounted: unpacks tar archives into directories and walks
// through directories to compare them.
//
// Layers are decompressed, hashed and unpacked on threads of their own. Deletions go straight into
// an overlay's upper directory, and differences are read from it alone where the left side is what
// lies below it.
class WalkingDiffer final : public Differ {
 public:
  struct Options {
    StreamProcessors processors = {};
    LayerLimits limits = {};
    // Makes what mount(2) cannot, for as long as its result lives. Empty: mounts are used as they
    // are.
    std::function<absl::StatusOr<mount::ScopedActivation>(const Context&, mount::Mounts)> activate =
        {};
  };

  // The references outlive the differ.
  WalkingDiffer(content::ContentStore& content, const mount::TempMounts& temp_mounts,
                Options options);

  absl::StatusOr<Descriptor> Apply(const Context& ctx, const Descriptor& layer,
                                   const mount::Mounts& mounts,
                                   const ApplyOptions& options) override;
  absl::StatusOr<Descriptor> Compare(const Context& ctx, const mount::Mounts& left,
                                     const mount::Mounts& right,
                                     const CompareOptions& options) override;

 private:
  absl::StatusOr<mount::ScopedActivation> Activate(const Context& ctx, const mount::Mounts& mounts);
  absl::StatusOr<LayerPipeline::Result> Unpack(const Context& ctx, const Descriptor& layer,
                                               const mount::Mounts& mounts,
                                               const ApplyOptions& options);

  content::ContentStore& content_;
  const mount::TempMounts& temp_mounts_;
  const Options options_;
  const bool in_user_namespace_;
};

}  // namespace gantry::diff
