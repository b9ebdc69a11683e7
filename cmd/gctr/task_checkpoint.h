// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "cmd/gctr/client/client.h"

namespace gantry::gctr {

struct CheckpointSettings {
  bool exit = false;       // the container stops after it
  std::string image_path;  // a folder for criu's files; empty: they become an image
  std::string work_path;   // a folder for criu's logs
};

// Has the runtime write down a task's memory, and makes an image of that, the container's image and
// what it changed of it. The image's name; empty with a folder.
//
// The task stands still meanwhile, and goes on afterwards unless it was paused before.
absl::StatusOr<std::string> CheckpointTask(Client& client, const std::string& id,
                                           const CheckpointSettings& settings);

}  // namespace gantry::gctr
