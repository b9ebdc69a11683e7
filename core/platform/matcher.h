// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "core/platform/platform.h"

namespace gantry {

// Which platforms are acceptable, and which of two is better.
class PlatformMatcher {
 public:
  // What a machine of this platform can run, best first: amd64 also runs 386, arm64 also arm.
  static PlatformMatcher Only(const Platform& platform);
  // The platform itself.
  static PlatformMatcher Strict(const Platform& platform);
  // Any of these, the earlier the better.
  static PlatformMatcher Ordered(std::vector<Platform> platforms);
  // Every platform.
  static PlatformMatcher All() { return PlatformMatcher({}, true); }

  bool Matches(const Platform& candidate) const { return Rank(candidate).has_value(); }
  // 0 for the best; nothing where it does not match.
  std::optional<size_t> Rank(const Platform& candidate) const;

 private:
  PlatformMatcher(std::vector<Platform> accepted, bool all)
      : accepted_(std::move(accepted)), all_(all) {}

  std::vector<Platform> accepted_;
  bool all_;
};

}  // namespace gantry
