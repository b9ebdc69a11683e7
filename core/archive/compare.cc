// SPDX-License-Identifier: Apache-2.0
#include "core/archive/compare.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/archive/change_writer.h"
#include "core/archive/names.h"
#include "core/archive/overlay_marks.h"
#include "core/archive/tree_node.h"
#include "core/base/status.h"
#include "core/kernel/unique_fd.h"

namespace gantry::archive {
namespace {

constexpr int kMaxDepth = 1024;

// Which entries a directory on the right side has.
enum class View {
  kAll,    // those it shows; what else is on the left is gone
  kUpper,  // those it shows, and what the left has, unless it shows a whiteout
};

// Walks two trees side by side. A right tree that is an overlay's upper directory may hold
// whiteouts, which count as absent entries.
class Walk {
 public:
  // An empty `xattr_prefix` stands for a tree without overlay's marks.
  Walk(const Context& ctx, std::string xattr_prefix, ChangeWriter& changes)
      : ctx_(ctx), xattr_prefix_(std::move(xattr_prefix)), changes_(changes) {}

  // The content of a directory; a negative `left` is an empty one.
  absl::Status CompareContent(const std::string& path, int left, int right, View view) {
    if (++depth_ > kMaxDepth) return ResourceExhausted("directories nested beyond {}", kMaxDepth);
    ASSIGN_OR_RETURN(std::vector<std::string> names, ReadNames(right));
    if (left >= 0 && view == View::kAll) {
      ASSIGN_OR_RETURN(const std::vector<std::string> left_names, ReadNames(left));
      std::vector<std::string> all;
      std::set_union(names.begin(), names.end(), left_names.begin(), left_names.end(),
                     std::back_inserter(all));
      names = std::move(all);
    }
    for (const std::string& name : names) {
      RETURN_IF_ERROR(ctx_.Check());
      RETURN_IF_ERROR(CompareName(JoinPath(path, name), name, left, right, view));
    }
    --depth_;
    return absl::OkStatus();
  }

 private:
  bool InUpper() const { return !xattr_prefix_.empty(); }

  absl::Status CompareName(const std::string& path, const std::string& name, int left, int right,
                           View view) {
    std::optional<TreeNode> before;
    if (left >= 0) {
      ASSIGN_OR_RETURN(before, FindNode(left, name));
    }
    ASSIGN_OR_RETURN(std::optional<TreeNode> after, FindNode(right, name));
    if (after && InUpper() && IsOverlayWhiteout(after->info)) after.reset();
    if (!after) return before ? changes_.Deleted(path) : absl::OkStatus();
    bool same = false;
    if (before) {
      ASSIGN_OR_RETURN(same, SameNode(*before, *after));
    }
    if (!same) {
      RETURN_IF_ERROR(changes_.Changed(path, *after));
    } else if (after->is_linked()) {
      RETURN_IF_ERROR(changes_.UnchangedLink(path, *after));
    }
    bool opaque = false;
    if (InUpper()) {
      ASSIGN_OR_RETURN(opaque, ReadMarks(*after));
    }
    if (!after->is_directory()) return absl::OkStatus();
    return Descend(path, before, *after, opaque ? View::kAll : view);
  }

  absl::Status Descend(const std::string& path, const std::optional<TreeNode>& before,
                       const TreeNode& after, View view) {
    ASSIGN_OR_RETURN(const kernel::UniqueFd right, OpenDirectoryNode(after));
    kernel::UniqueFd left;
    if (before && before->is_directory()) {
      ASSIGN_OR_RETURN(left, OpenDirectoryNode(*before));
    }
    return CompareContent(path, left.get(), right.get(), view);
  }

  // True for an opaque directory.
  absl::StatusOr<bool> ReadMarks(const TreeNode& node) {
    if (!node.is_directory() && !node.is_regular()) return false;
    ASSIGN_OR_RETURN(const std::string names, ListXattrsNode(node));
    bool opaque = false;
    for (std::string_view rest = names; !rest.empty();) {
      const std::string name(rest.substr(0, rest.find('\0')));
      rest.remove_prefix(std::min(rest.size(), name.size() + 1));
      if (!name.starts_with(xattr_prefix_)) continue;
      const std::string_view mark = std::string_view(name).substr(xattr_prefix_.size());
      // Whether these are there makes no difference to what the directory shows.
      if (mark == "origin" || mark == "impure" || mark == "uuid" || mark == "nlink") continue;
      ASSIGN_OR_RETURN(const std::string value, ReadXattrNode(node, name));
      if (mark != "opaque" || value != "y") {
        return FailedPrecondition("{:?} has overlay mark {}", node.name, mark);
      }
      opaque = true;
    }
    return opaque;
  }

  const Context& ctx_;
  const std::string xattr_prefix_;
  ChangeWriter& changes_;
  int depth_ = 0;
};

absl::Status Compare(const Context& ctx, int left, int right, const std::string& xattr_prefix,
                     View view, Writer& sink, const CompareOptions& options) {
  ChangeWriter changes(ctx, right, sink, options);
  RETURN_IF_ERROR(Walk(ctx, xattr_prefix, changes).CompareContent("", left, right, view));
  return changes.Finish();
}

}  // namespace

absl::Status WriteDiff(const Context& ctx, int left, int right, Writer& sink,
                       const CompareOptions& options) {
  return Compare(ctx, left, right, "", View::kAll, sink, options);
}

absl::Status WriteUpperDiff(const Context& ctx, int left, int upper,
                            const std::string& xattr_prefix, Writer& sink,
                            const CompareOptions& options) {
  return Compare(ctx, left, upper, xattr_prefix, View::kUpper, sink, options);
}

}  // namespace gantry::archive
