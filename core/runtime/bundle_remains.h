// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "core/runtime/bundle.h"
#include "core/runtime/steps.h"

namespace gantry::runtime {

// Removes, in `slow`, what bundles left that were being removed when the daemon ended, and folders
// of the root that have no bundle, as a reboot leaves them. `twins` and `root` are those of the
// root. When it returns none of them is in the way of a new bundle.
void ClearRemains(Steps& slow, const BundleListing& bundles, const BundleListing& twins,
                  const std::filesystem::path& root);

}  // namespace gantry::runtime
