// SPDX-License-Identifier: Apache-2.0
#include "core/metrics/histogram.h"

#include <fmt/format.h>

#include <algorithm>

namespace gantry::metrics {

void DurationHistogram::Observe(absl::Duration duration) {
  const double seconds = absl::ToDoubleSeconds(duration);
  const auto bucket = std::ranges::lower_bound(kBoundsSeconds, seconds);
  counts_[static_cast<size_t>(bucket - kBoundsSeconds.begin())]++;
  sum_ns_ += absl::ToInt64Nanoseconds(duration);
}

void DurationHistogram::AddTo(Family& family, const Labels& labels) const {
  uint64_t total = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    total += counts_[i];
    Labels bucket = labels;
    bucket["le"] = i < kBoundsSeconds.size() ? fmt::format("{}", kBoundsSeconds[i]) : "+Inf";
    family.samples.push_back({std::move(bucket), static_cast<double>(total), "_bucket"});
  }
  family.samples.push_back({labels, static_cast<double>(sum_ns_) / 1e9, "_sum"});
  family.samples.push_back({labels, static_cast<double>(total), "_count"});
}

}  // namespace gantry::metrics
