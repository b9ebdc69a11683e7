// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "core/kernel/result.h"
#include "shim/options/runc_options.h"

namespace gantry::shim {

// The options as JSON in the form that shims leave to each other: Go's names, without the members
// that have their default value.
std::string OptionsToJson(const RuncOptions& options);

// Members that are not known, and null, are passed over. EINVAL: no JSON object, or a known member
// has a value of another type.
kernel::Result<RuncOptions> OptionsFromJson(std::string_view text);

}  // namespace gantry::shim
