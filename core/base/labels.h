// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <string>

#include "absl/status/status.h"

namespace gantry {

// Label sets of every labelled object, in key order.
using Labels = std::map<std::string, std::string, std::less<>>;

inline constexpr size_t kMaxLabelBytes = 4096;

// InvalidArgument for a pair whose key and value together exceed 4096 bytes.
absl::Status ValidateLabels(const Labels& labels);

// Drops pairs with an empty value: on every labelled object an empty value means "delete".
void DropEmptyLabels(Labels& labels);

}  // namespace gantry
