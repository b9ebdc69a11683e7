// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace gantry::archive {

// What an archive may ask for. Beyond any of these it is refused as a whole: InvalidArgument for
// malformed structure, ResourceExhausted for the totals.
struct Limits {
  size_t max_name_bytes = 4095;                    // names and link targets: PATH_MAX
  size_t max_depth = 1024;                         // components of a name
  size_t max_extension_bytes = size_t{1} << 20;    // one extended header or long name
  size_t max_xattrs = 1024;                        // per entry
  size_t max_xattr_name_bytes = 255;               // the kernel's
  size_t max_xattr_value_bytes = size_t{1} << 16;  // the kernel's
  size_t max_sparse_runs = size_t{1} << 20;        // per entry
  uint64_t max_entries = uint64_t{1} << 23;        // in all
  uint64_t max_bytes = uint64_t{1} << 44;          // content in all, holes included
  // Names of directories whose times are set in the end.
  uint64_t max_remembered_bytes = uint64_t{1} << 28;
};

}  // namespace gantry::archive
