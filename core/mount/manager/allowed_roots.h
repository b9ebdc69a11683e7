// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/kernel/unique_fd.h"

namespace gantry::mount {

// The directories below which the mount manager makes directories and files for clients.
//
// Threads: const methods from any thread.
class AllowedRoots {
 public:
  // The directories exist.
  static absl::StatusOr<AllowedRoots> Open(const std::vector<std::filesystem::path>& roots);

  struct Place {
    int root = -1;      // open on the root, borrowed
    std::string below;  // the path inside it, to be resolved so that it cannot leave
  };

  // Unimplemented for a path that lies below none of the roots.
  absl::StatusOr<Place> Find(std::string_view path) const;

 private:
  struct Root {
    std::string path;
    kernel::UniqueFd fd;
  };
  std::vector<Root> roots_;
};

}  // namespace gantry::mount
