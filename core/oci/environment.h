// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace gantry::oci {

// `base` with the entries of `changes`: "K=V" takes K's place or comes last, "K" alone removes K.
std::vector<std::string> MergeEnvironment(std::vector<std::string> base,
                                          const std::vector<std::string>& changes);

// The lines of a file, each an entry.
absl::StatusOr<std::vector<std::string>> ReadEnvironmentFile(const std::string& path);

}  // namespace gantry::oci
