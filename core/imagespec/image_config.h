// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/labels.h"
#include "core/digest/digest.h"
#include "core/platform/platform.h"

namespace gantry::imagespec {

// OCI image-spec 1.1, config.md. An image's wishes: nothing in it is policy.
struct ImageConfig {
  Platform platform;
  std::vector<Digest> diff_ids;  // of the layers uncompressed, lowest first
  std::vector<std::string> env;
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::string working_dir;
  std::string user;
  std::string stop_signal;
  Labels labels;
};

// InvalidArgument when it is no JSON, a diff id is no digest, or the root file system is not made
// of layers.
absl::StatusOr<ImageConfig> ParseImageConfig(std::string_view text);

// Names of snapshots: the identity of each layer on top of those below it, lowest first (config.md,
// "ChainID"). As many as there are diff ids.
std::vector<Digest> ChainIds(const std::vector<Digest>& diff_ids);

// Keys that containerd and its CRI plugin act on, and that an image must therefore not bring along.
bool IsReservedLabel(std::string_view key);

}  // namespace gantry::imagespec
