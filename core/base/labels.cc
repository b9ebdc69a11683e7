// SPDX-License-Identifier: Apache-2.0
#include "core/base/labels.h"

#include <string_view>

#include "core/base/status.h"

namespace gantry {

absl::Status ValidateLabels(const Labels& labels) {
  constexpr size_t kShownKeyBytes = 64;
  for (const auto& [key, value] : labels) {
    if (key.size() + value.size() > kMaxLabelBytes) {
      return InvalidArgument(
          "label key and value length ({} bytes) greater than maximum size ({} bytes), key: {}",
          key.size() + value.size(), kMaxLabelBytes,
          std::string_view(key).substr(0, kShownKeyBytes));
    }
  }
  return absl::OkStatus();
}

void DropEmptyLabels(Labels& labels) {
  std::erase_if(labels, [](const auto& pair) { return pair.second.empty(); });
}

}  // namespace gantry
