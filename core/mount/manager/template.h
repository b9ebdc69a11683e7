// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/mount/manager/activation.h"

namespace gantry::mount {

// Fills in a text that names earlier mounts by index, in the syntax of Go's templates:
//
//   {{ source 0 }} {{ target 0 }}   of the mount as it was asked for
//   {{ mount 0 }}                   where it was mounted
//   {{ overlay 2 0 }}               the mount points from one index to the other, either way,
//   joined
//                                   by colons
//
// These functions with decimal numbers are all there is; anything else, and an index that no mount
// has, is InvalidArgument. A text without "{{" stays as it is.
absl::StatusOr<std::string> ExpandTemplate(std::string_view text,
                                           std::span<const ActiveMount> earlier);

}  // namespace gantry::mount
