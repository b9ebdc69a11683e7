// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "core/diff/layer_source.h"
#include "core/plugin/plugin.h"

namespace gantry::diff {

// The differ "walking". `temp_mounts` is the directory for mounts of its own; what an earlier
// daemon left there goes when the plugin starts.
plugin::Registration WalkingPlugin(std::filesystem::path temp_mounts, StreamProcessors processors);

// The DifferChain as plugin diff-service, in the order that its configuration gives.
plugin::Registration ChainPlugin();

}  // namespace gantry::diff
