// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/archive/limits.h"
#include "core/archive/overlay_marks.h"
#include "core/base/context.h"
#include "core/base/stream.h"

namespace gantry::archive {

enum class WhiteoutMode {
  kDelete,   // the target holds all lower layers: what a layer deletes is removed
  kOverlay,  // the target is an overlay's upper directory: deletions become overlay's own marks
};

struct ApplyOptions {
  WhiteoutMode whiteouts = WhiteoutMode::kDelete;
  // In overlay mode: kTrustedOpaque, or kUserOpaque for mounts with userxattr.
  std::string opaque_xattr = kTrustedOpaque;
  // In overlay mode: the directories below the target, nearest first. Parents that the layer lacks
  // take owner, mode, times and attributes from there, and files it links to are copied up.
  std::vector<std::string> lower_dirs = {};
  // Device nodes are skipped.
  bool in_user_namespace = false;
  Limits limits = {};
};

// What an archive asked for in vain, by kind: how often, and the first case in words.
struct Warning {
  uint64_t count = 0;
  std::string first;
};
using Warnings = std::map<std::string, Warning, std::less<>>;

struct ApplyResult {
  uint64_t entries = 0;
  uint64_t content_bytes = 0;  // sum of the entries' sizes
  // Parents that the archive lacks and no lower directory had: made 0755, owned by root. Paths
  // below the target.
  std::vector<std::string> implicit_directories;
  Warnings warnings;
};

// Unpacks a layer into the directory that `root` is open on, as OCI image-spec 1.1, layer.md, has
// it, and reads `tar` to its end. The archive may be hostile: nothing outside of `root` is read,
// made, changed or removed, even while others exchange directories and symlinks under it.
//
// Works on a thread of its own with a umask of its own; returns when that has ended. On an error
// the target is left half done.
//
// Errors: those of TarReader; InvalidArgument for what an archive must not ask for;
// ResourceExhausted when the disk is full.
absl::StatusOr<ApplyResult> Apply(const Context& ctx, BlockReader& tar, int root,
                                  const ApplyOptions& options);

}  // namespace gantry::archive
