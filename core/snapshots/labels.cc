// SPDX-License-Identifier: Apache-2.0
#include "core/snapshots/snapshotter.h"

namespace gantry::snapshots {

std::string_view KindName(Kind kind) {
  switch (kind) {
    case Kind::kView:
      return "view";
    case Kind::kActive:
      return "active";
    case Kind::kCommitted:
      break;
  }
  return "committed";
}

Labels InheritedLabels(const Labels& labels) {
  constexpr std::string_view kPrefix = "containerd.io/snapshot/";
  Labels inherited;
  for (const auto& [key, value] : labels) {
    if (key == kTargetLabel || std::string_view(key).starts_with(kPrefix))
      inherited.emplace(key, value);
  }
  return inherited;
}

}  // namespace gantry::snapshots
