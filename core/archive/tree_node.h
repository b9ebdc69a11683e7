// SPDX-License-Identifier: Apache-2.0
// Entries of directory trees under comparison.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/kernel/unique_fd.h"

namespace gantry::archive {

// An entry of the open directory `parent`, as stat(2) saw it. Its last component is never followed.
struct TreeNode {
  int parent = -1;  // borrowed
  std::string name;
  struct stat info = {};

  bool is_directory() const { return S_ISDIR(info.st_mode); }
  bool is_regular() const { return S_ISREG(info.st_mode); }
  // Has further names.
  bool is_linked() const { return !is_directory() && info.st_nlink > 1; }
};

// A failed system call on a tree that is read. Aborted for what somebody changed meanwhile.
absl::Status TreeError(int error, std::string_view act, std::string_view name);

// Nothing when there is no such entry.
absl::StatusOr<std::optional<TreeNode>> FindNode(int parent, const std::string& name);

// The names in an open directory, in byte order, without "." and "..".
absl::StatusOr<std::vector<std::string>> ReadNames(int directory);

absl::StatusOr<kernel::UniqueFd> OpenDirectoryNode(const TreeNode& node);

// Opens a regular file for reading, certain to be the one that was seen.
absl::StatusOr<kernel::UniqueFd> OpenFileNode(const TreeNode& node);

absl::StatusOr<std::string> ReadLinkNode(const TreeNode& node);

// The value of an extended attribute, empty when there is none.
absl::StatusOr<std::string> ReadXattrNode(const TreeNode& node, const std::string& xattr);

// The names of all extended attributes, each with a NUL behind it.
absl::StatusOr<std::string> ListXattrsNode(const TreeNode& node);

// Whether the entries are equal, as WriteDiff() has it; children do not count.
absl::StatusOr<bool> SameNode(const TreeNode& left, const TreeNode& right);

}  // namespace gantry::archive
