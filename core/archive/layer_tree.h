// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/archive/attributes.h"
#include "core/archive/lower_dirs.h"
#include "core/archive/path_resolver.h"
#include "core/kernel/unique_fd.h"

namespace gantry::archive {

// A directory inside the tree, held open.
struct OpenDirectory {
  kernel::UniqueFd fd;  // O_RDONLY
  uint64_t inode = 0;
};
using DirectoryRef = std::shared_ptr<const OpenDirectory>;

// The directory tree that a layer is unpacked into: finds and makes directories by their names in
// the archive and removes what stands in the way.
//
// Names are resolved by the kernel inside the root (openat2), symlinks as in a chroot; everything
// else happens relative to an open directory and never follows the last component. Directories in
// use lately stay open, and are forgotten whenever a directory or symlink is removed.
class LayerTree {
 public:
  struct Options {
    bool overlay = false;  // the root is an overlay's upper directory
    std::string opaque_xattr;
    uint64_t max_remembered_bytes = 0;
  };

  // `root` outlives the tree; `setter` too.
  LayerTree(int root, Options options, LowerDirs lower, AttributeSetter& setter);

  // The directory that `path` names, made where it is missing: 0755 and root's, or like the lower
  // directory of that name. InvalidArgument when something else stands there.
  absl::StatusOr<DirectoryRef> MakeDirectory(std::string_view path);

  // The directory that `path` names, or null.
  absl::StatusOr<DirectoryRef> FindDirectory(std::string_view path);

  // `path` was opened as a directory by the caller, who has just made it or found it.
  absl::StatusOr<DirectoryRef> Remember(std::string_view path, kernel::UniqueFd fd);

  // Removes what has this name, a directory with its content. Absent is fine. Tells what it was.
  enum class Removed { kNothing, kDirectory, kOther };
  absl::StatusOr<Removed> Remove(int parent, const std::string& base);

  // Hides the lower directories' entries of this directory (overlay).
  absl::Status MarkOpaque(int directory, std::string_view path);

  // Forgets the open directories: something was removed behind this object's back.
  void ForgetDirectories() { open_.clear(); }

  // Sets a directory's times in the end, once nothing is made in it any more.
  absl::Status SetTimesLater(std::string_view path, const Times& times);
  absl::Status SetTimesNow();

  // What the lower directories have at `path`, a clean one without symlinks, unless this layer
  // hides it.
  absl::StatusOr<std::optional<LowerDirs::Found>> FindLower(std::string_view path);

  const std::vector<std::string>& implicit_directories() const { return implicit_; }

 private:
  absl::StatusOr<kernel::UniqueFd> MakeMissing(const ResolvedPath& resolved);
  absl::StatusOr<kernel::UniqueFd> MakeParent(int parent, const std::string& base,
                                              const std::string& path);
  absl::Status MakeEmpty(int parent, const std::string& base, const std::string& path,
                         bool& hides_lower);
  absl::Status Account(std::string_view path);

  const int root_;
  const Options options_;
  const LowerDirs lower_;
  AttributeSetter& setter_;
  std::unordered_map<std::string, DirectoryRef> open_;
  std::vector<std::string> implicit_;
  std::vector<std::pair<std::string, Times>> times_;
  uint64_t remembered_bytes_ = 0;
};

}  // namespace gantry::archive
