// SPDX-License-Identifier: Apache-2.0
#include "core/archive/layer_marks.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"
#include "core/archive/attributes.h"
#include "core/kernel/file.h"
#include "core/kernel/tree_walk.h"

namespace gantry::archive {
namespace {

uint64_t Hash(uint64_t directory_inode, std::string_view base) {
  const absl::string_view name(base.data(), base.size());
  return absl::HashOf(directory_inode, name);
}

class Clearer final : public kernel::TreeVisitor {
 public:
  explicit Clearer(const LayerMarks& marks) : marks_(marks) {}

  kernel::Result<void> VisitFile(int directory, const std::string& name) override {
    auto keep = Keeps(directory, name);
    if (!keep || *keep) return Discard(keep);
    if (::unlinkat(directory, name.c_str(), 0) == 0 || errno == ENOENT) return {};
    return kernel::LastError("remove " + name);
  }

  kernel::Result<void> EnterDirectory(int, const std::string&) override { return {}; }

  kernel::Result<void> LeaveDirectory(int parent, const std::string& name) override {
    auto keep = Keeps(parent, name);
    if (!keep || *keep) return Discard(keep);
    const bool gone = ::unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0;
    // Something of the layer's is left in it.
    if (gone || errno == ENOTEMPTY || errno == EEXIST || errno == ENOENT) return {};
    return kernel::LastError("remove " + name);
  }

 private:
  kernel::Result<bool> Keeps(int directory, const std::string& name) const {
    struct stat info = {};
    if (::fstat(directory, &info) != 0) return kernel::LastError("stat directory of " + name);
    return marks_.Has(info.st_ino, name);
  }

  static kernel::Result<void> Discard(const kernel::Result<bool>& keep) {
    return keep ? kernel::Result<void>() : keep.error();
  }

  const LayerMarks& marks_;
};

}  // namespace

void LayerMarks::Add(uint64_t directory_inode, std::string_view base) {
  entries_.insert(Hash(directory_inode, base));
}

bool LayerMarks::Has(uint64_t directory_inode, std::string_view base) const {
  return entries_.contains(Hash(directory_inode, base));
}

absl::Status LayerMarks::ClearOthers(const OpenDirectory& directory) {
  if (!cleared_.insert(directory.inode).second) return absl::OkStatus();
  auto root = kernel::OpenAt(directory.fd.get(), ".", O_RDONLY | O_DIRECTORY);
  if (!root) return ApplyError(root.error().err, "open directory", "");
  Clearer clearer(*this);
  const auto walked = kernel::WalkTree(std::move(*root), /*mounts_are_errors=*/true, clearer);
  if (!walked) return ApplyError(walked.error().err, "clear opaque directory", walked.error().what);
  return absl::OkStatus();
}

}  // namespace gantry::archive
