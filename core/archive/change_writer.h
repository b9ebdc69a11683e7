// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "core/archive/compare.h"
#include "core/archive/entry.h"
#include "core/archive/tar_writer.h"
#include "core/archive/tree_node.h"
#include "core/base/context.h"
#include "core/base/stream.h"

namespace gantry::archive {

// Turns changes, which come in path order with directories before their content, into a layer:
// adds the parents that they need and keeps hard links together.
class ChangeWriter {
 public:
  // All references outlive the writer. `right` is the changed tree's open root.
  ChangeWriter(const Context& ctx, int right, Writer& sink, const CompareOptions& options)
      : ctx_(ctx), right_(right), options_(options), tar_(sink) {}

  // What stands at `path` (relative, clean) in the changed tree is new or different.
  absl::Status Changed(const std::string& path, const TreeNode& node);

  // An unchanged entry with several names: it becomes part of the layer when another name is.
  absl::Status UnchangedLink(const std::string& path, const TreeNode& node);

  // What stood at `path` is gone.
  absl::Status Deleted(const std::string& path);

  absl::Status Finish() { return tar_.Finish(); }

 private:
  using Inode = std::pair<dev_t, ino_t>;

  absl::StatusOr<Entry> EntryOf(const std::string& path, const TreeNode& node);
  absl::Status WriteEntry(const Entry& entry);
  absl::Status WriteFile(const Entry& entry, const TreeNode& node);
  absl::Status WriteLinks(Entry entry, const std::string& source,
                          const std::vector<std::string>& names);
  absl::Status IncludeParents(std::string_view path);

  const Context& ctx_;
  const int right_;
  const CompareOptions& options_;
  TarWriter tar_;
  std::unordered_set<std::string> directories_;          // written
  std::map<Inode, std::string> link_sources_;            // first name written of a linked inode
  std::map<Inode, std::vector<std::string>> unwritten_;  // its unchanged names before that
  std::string buffer_;
};

}  // namespace gantry::archive
