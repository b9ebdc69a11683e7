// SPDX-License-Identifier: Apache-2.0
#include "core/archive/compare.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
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
// Further down, a directory is closed while what is below it is read, so that a deep tree does not
// use up the descriptors of all.
constexpr int kMaxOpenDepth = 32;

// Which entries a directory on the right side has.
enum class View {
  kAll,    // those it shows; what else is on the left is gone
  kUpper,  // those it shows, and what the left has, unless it shows a whiteout
};

// A directory of one of the trees.
class Directory {
 public:
  // A root, which is borrowed; negative for an empty tree.
  explicit Directory(int root) : fd_(root) {}
  explicit Directory(kernel::UniqueFd fd) : own_(std::move(fd)), fd_(own_.get()) {}

  bool exists() const { return fd_ >= 0; }
  int fd() const { return fd_; }

  // Closes it until Reopen(). Not for roots.
  absl::Status Close() {
    if (::fstat(fd_, &info_) != 0) return TreeError(errno, "stat", "a directory");
    own_.Reset();
    return absl::OkStatus();
  }
  // By the way back from a directory in it.
  absl::Status Reopen(const Directory& inner) {
    own_.Reset(::openat(inner.fd_, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    fd_ = own_.get();
    struct stat info {};
    if (!own_ || ::fstat(fd_, &info) != 0) return TreeError(errno, "open directory", "..");
    const bool same = info.st_dev == info_.st_dev && info.st_ino == info_.st_ino;
    return same ? absl::OkStatus() : Aborted("a directory was moved while it was read");
  }

 private:
  kernel::UniqueFd own_;
  int fd_;
  struct stat info_ {};
};

// Walks two trees side by side. A right tree that is an overlay's upper directory may hold
// whiteouts, which count as absent entries.
class Walk {
 public:
  // An empty `xattr_prefix` stands for a tree without overlay's marks.
  Walk(const Context& ctx, std::string xattr_prefix, ChangeWriter& changes)
      : ctx_(ctx), xattr_prefix_(std::move(xattr_prefix)), changes_(changes) {}

  // The content of a directory; `left` need not exist.
  absl::Status CompareContent(const std::string& path, Directory& left, Directory& right,
                              View view) {
    if (++depth_ > kMaxDepth) return ResourceExhausted("directories nested beyond {}", kMaxDepth);
    ASSIGN_OR_RETURN(std::vector<std::string> names, ReadNames(right.fd()));
    if (left.exists() && view == View::kAll) {
      ASSIGN_OR_RETURN(const std::vector<std::string> left_names, ReadNames(left.fd()));
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

  absl::Status CompareName(const std::string& path, const std::string& name, Directory& left,
                           Directory& right, View view) {
    std::optional<TreeNode> before;
    if (left.exists()) {
      ASSIGN_OR_RETURN(before, FindNode(left.fd(), name));
    }
    ASSIGN_OR_RETURN(std::optional<TreeNode> after, FindNode(right.fd(), name));
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
    ASSIGN_OR_RETURN(kernel::UniqueFd right_fd, OpenDirectoryNode(*after));
    kernel::UniqueFd left_fd;
    if (before && before->is_directory()) {
      ASSIGN_OR_RETURN(left_fd, OpenDirectoryNode(*before));
    }
    Directory inner_left(std::move(left_fd));
    Directory inner_right(std::move(right_fd));
    const bool deep = depth_ > kMaxOpenDepth;
    if (deep) {
      RETURN_IF_ERROR(right.Close());
      // Without a left directory further down there is no way back to this one.
      if (inner_left.exists()) RETURN_IF_ERROR(left.Close());
    }
    RETURN_IF_ERROR(CompareContent(path, inner_left, inner_right, opaque ? View::kAll : view));
    if (!deep) return absl::OkStatus();
    RETURN_IF_ERROR(right.Reopen(inner_right));
    return inner_left.exists() ? left.Reopen(inner_left) : absl::OkStatus();
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
  Directory left_root(left);
  Directory right_root(right);
  RETURN_IF_ERROR(Walk(ctx, xattr_prefix, changes).CompareContent("", left_root, right_root, view));
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
