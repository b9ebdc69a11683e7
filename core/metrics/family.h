// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

namespace gantry::metrics {

using Labels = std::map<std::string, std::string>;

enum class Type { kCounter, kGauge, kHistogram };

struct Sample {
  Labels labels = {};
  double value = 0;
  std::string suffix = {};  // of a histogram: "_bucket", "_sum", "_count"
};

// All series of one name at one moment.
struct Family {
  std::string name;
  std::string help;
  Type type = Type::kGauge;
  std::vector<Sample> samples = {};
};

}  // namespace gantry::metrics
