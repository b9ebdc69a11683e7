// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>
#include <vector>

#include "core/diff/differ.h"

namespace gantry::diff {

// Offers each request to differs in order, until one does not answer Unimplemented. A layer whose
// media type none of them knows is the caller's mistake: InvalidArgument.
//
// Threads: as each Differ.
class DifferChain final : public Differ {
 public:
  // The differs outlive the chain. `sync_fs` is for requests that do not ask for it themselves.
  DifferChain(std::vector<Differ*> differs, bool sync_fs)
      : differs_(std::move(differs)), sync_fs_(sync_fs) {}

  absl::StatusOr<Descriptor> Apply(const Context& ctx, const Descriptor& layer,
                                   const mount::Mounts& mounts,
                                   const ApplyOptions& options) override;
  absl::StatusOr<Descriptor> Compare(const Context& ctx, const mount::Mounts& left,
                                     const mount::Mounts& right,
                                     const CompareOptions& options) override;

 private:
  const std::vector<Differ*> differs_;
  const bool sync_fs_;
};

inline constexpr plugin::Kind<DifferChain> kDiffService{"io.containerd.service.v1"};

}  // namespace gantry::diff
