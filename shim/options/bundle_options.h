// SPDX-License-Identifier: Apache-2.0
// What Create leaves in a bundle for whoever deletes the container, which may be another shim or
// another version of this one: how the OCI runtime was driven, in the file options.json, and the
// name of its binary, in the file runtime. Both have mode 0600 and appear whole or not at all.
#pragma once

#include <string>

#include "core/kernel/result.h"
#include "shim/options/runc_options.h"

namespace gantry::shim {

kernel::Result<void> WriteBundleOptions(const std::string& bundle, const RuncOptions& options);
// The defaults when there is no such file.
kernel::Result<RuncOptions> ReadBundleOptions(const std::string& bundle);

// `binary` as it was configured: a name, a path, or empty for the default.
kernel::Result<void> WriteBundleRuntime(const std::string& bundle, const std::string& binary);
// Empty when there is no such file.
kernel::Result<std::string> ReadBundleRuntime(const std::string& bundle);

}  // namespace gantry::shim
