// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/archive/attributes.h"
#include "core/kernel/unique_fd.h"

namespace gantry::archive {

// The layers below an overlay's upper directory, seen as the overlay would show them: the nearest
// that has a path decides, whiteouts and opaque directories hide what lies lower.
class LowerDirs {
 public:
  // Opens each directory, nearest first. `opaque_xattr` marks opaque ones.
  static absl::StatusOr<LowerDirs> Open(const std::vector<std::string>& paths,
                                        std::string opaque_xattr);

  bool empty() const { return roots_.empty(); }

  struct Found {
    kernel::UniqueFd fd;  // O_PATH, on the object itself
    struct stat info = {};
  };

  // The object at `path` (clean, symlinks not followed), or nothing.
  absl::StatusOr<std::optional<Found>> Find(std::string_view path) const;

 private:
  enum class Step { kFound, kMissing, kHidden };

  LowerDirs(std::vector<kernel::UniqueFd> roots, std::string opaque_xattr)
      : roots_(std::move(roots)), opaque_xattr_(std::move(opaque_xattr)) {}

  absl::StatusOr<Step> FindIn(int root, std::string_view path, Found& found) const;
  std::vector<kernel::UniqueFd> roots_;
  std::string opaque_xattr_;
};

// Owner, mode, times and attributes of what `fd` is open on.
absl::StatusOr<Attributes> AttributesOf(const LowerDirs::Found& found, std::string_view name);

}  // namespace gantry::archive
