// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/mount/manager/activation.h"

namespace gantry::mount {

// The bytes of a record of the activations table. Namespace and name are the row's key.
std::string EncodeActivation(const ActivationRecord& record);
absl::StatusOr<ActivationRecord> DecodeActivation(std::string_view ns, std::string_view name,
                                                  std::string_view bytes);

}  // namespace gantry::mount
