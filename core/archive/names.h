// SPDX-License-Identifier: Apache-2.0
// Names inside an archive, as text. No name reaches the kernel unresolved: see layer_tree.h.
#pragma once

#include <string>
#include <string_view>

namespace gantry::archive {

// OCI image-spec 1.1, layer.md: files whose names mean deletions.
inline constexpr std::string_view kWhiteoutPrefix = ".wh.";
inline constexpr std::string_view kOpaqueMarker = ".wh..wh..opq";

// `name` relative to the root, without empty components, "." and "..", which cannot lead above the
// root. Empty for the root itself.
std::string CleanName(std::string_view name);

struct SplitPath {
  std::string_view parent;  // empty for the root
  std::string_view base;
};

// Cuts a clean, non-empty name at its last slash.
SplitPath Split(std::string_view name);

std::string JoinPath(std::string_view parent, std::string_view base);

enum class Whiteout { kNone, kRemove, kOpaque, kInvalid };

// What an entry with this last component means. kInvalid: the whiteout would leave its directory.
Whiteout WhiteoutOf(std::string_view base);

// What a kRemove whiteout removes, in the same directory.
std::string_view WhiteoutTarget(std::string_view base);

}  // namespace gantry::archive
