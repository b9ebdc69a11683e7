// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cmd/gctr/container/flags.h"
#include "cmd/gctr/container/rootfs.h"
#include "core/imagespec/image_config.h"
#include "core/json/json.h"

namespace gantry::gctr {

struct SpecInput {
  std::string ns;
  std::string id;
  std::vector<std::string> arguments;                 // of the process; empty: the image's
  std::optional<imagespec::ImageConfig> image;        // absent with a folder as root
  std::string root_folder;                            // the folder
  std::function<absl::StatusOr<Rootfs>()> open_root;  // for users' names; called at most once
};

// "key=value"; "key" alone means "key=true".
Labels ParseLabels(const std::vector<std::string>& words);

// The runtime specification that the flags ask for. Files that they name are read here.
absl::StatusOr<Json> BuildSpec(const ContainerFlags& flags, const SpecInput& input);

}  // namespace gantry::gctr
