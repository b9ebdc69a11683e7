// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "absl/time/time.h"
#include "core/metrics/family.h"

namespace gantry::metrics {

// How long things took, in Prometheus' default buckets (5 ms to 10 s).
//
// Threads: all methods from any thread. A reading beside an observation may see it in part.
class DurationHistogram {
 public:
  static constexpr std::array<double, 11> kBoundsSeconds = {.005, .01, .025, .05, .1, .25,
                                                            .5,   1,   2.5,  5,   10};

  void Observe(absl::Duration duration);

  // Adds the series of this histogram to a family of type kHistogram.
  void AddTo(Family& family, const Labels& labels) const;

 private:
  std::array<std::atomic<uint64_t>, kBoundsSeconds.size() + 1> counts_{};
  std::atomic<int64_t> sum_ns_{0};
};

}  // namespace gantry::metrics
