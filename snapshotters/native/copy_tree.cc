// SPDX-License-Identifier: Apache-2.0
#include "snapshotters/native/copy_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/kernel/file.h"
#include "core/kernel/resolve.h"
#include "core/kernel/tree_walk.h"
#include "core/snapshots/snapshot_directories.h"
#include "snapshotters/native/copy_file.h"

namespace gantry::native {
namespace {

using kernel::Error;
using kernel::LastError;
using kernel::Result;
using kernel::UniqueFd;

// Directories above this depth stay open; deeper ones are found again through "..".
constexpr size_t kOpenDepth = 64;

using Times = std::array<timespec, 2>;
Times TimesOf(const struct stat& info) { return {info.st_atim, info.st_mtim}; }

class Copier final : public kernel::TreeVisitor {
 public:
  Copier(const Context& ctx, UniqueFd target) : ctx_(ctx), root_(std::move(target)) {}

  Result<void> EnterDirectory(int self, const std::string& name) override {
    struct stat info {};
    if (::fstat(self, &info) != 0) return LastError("stat " + name);
    auto copy = name.empty() ? kernel::OpenAt(root_.get(), ".", O_RDONLY | O_DIRECTORY)
                             : MakeDirectory(name);
    if (!copy) return copy.error();
    if (::fchown(copy->get(), info.st_uid, info.st_gid) != 0) return LastError("chown " + name);
    if (::fchmod(copy->get(), info.st_mode & 07777) != 0) return LastError("chmod " + name);
    CopyAttributes(kernel::PathOfFd(self), kernel::PathOfFd(copy->get()), /*follow=*/true);
    if (frames_.size() > kOpenDepth) frames_.back().fd.Reset();
    frames_.push_back({.fd = std::move(*copy), .name = name, .times = TimesOf(info)});
    return {};
  }

  Result<void> LeaveDirectory(int, const std::string&) override {
    Frame done = std::move(frames_.back());
    frames_.pop_back();
    if (!frames_.back().fd) {
      auto parent = kernel::OpenAt(done.fd.get(), "..", O_RDONLY | O_DIRECTORY);
      if (!parent) return parent.error();
      frames_.back().fd = std::move(*parent);
    }
    return SetTimes(done);
  }

  Result<void> VisitFile(int dir, const std::string& name) override {
    if (give_up_()) return Error{ECANCELED, "copy " + name};
    struct stat info {};
    if (::fstatat(dir, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
      return LastError("stat " + name);
    if (info.st_nlink > 1) {
      const auto [first, added] = linked_.try_emplace({info.st_dev, info.st_ino}, PathTo(name));
      if (!added) return Link(first->second, name);
    }
    if (auto made = Make(dir, name, info); !made) return made;
    return CopyInode(dir, name, info);
  }

  // The root is never left by the walk.
  Result<void> Finish() { return SetTimes(frames_.front()); }

 private:
  struct Frame {
    UniqueFd fd;
    std::string name;
    Times times{};
  };

  int Here() const { return frames_.back().fd.get(); }

  // From the target's root.
  std::string PathTo(const std::string& name) const {
    std::string path;
    for (const Frame& frame : frames_) {
      if (!frame.name.empty()) path += frame.name + "/";
    }
    return path + name;
  }

  Result<UniqueFd> MakeDirectory(const std::string& name) {
    if (::mkdirat(Here(), name.c_str(), 0700) != 0) return LastError("create " + name);
    return kernel::OpenAt(Here(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  }

  Result<void> Link(const std::string& first, const std::string& name) {
    if (::linkat(root_.get(), first.c_str(), Here(), name.c_str(), 0) != 0)
      return LastError("link " + name);
    return {};
  }

  Result<void> Make(int dir, const std::string& name, const struct stat& info) {
    if (S_ISREG(info.st_mode)) return MakeRegular(dir, name, info);
    if (S_ISLNK(info.st_mode)) return MakeSymlink(dir, name);
    if (::mknodat(Here(), name.c_str(), info.st_mode & S_IFMT, info.st_rdev) != 0)
      return LastError("create " + name);
    return {};
  }

  Result<void> MakeRegular(int dir, const std::string& name, const struct stat& info) {
    const auto from = kernel::OpenAt(dir, name, O_RDONLY | O_NOFOLLOW);
    if (!from) return from.error();
    const auto to = kernel::OpenAt(Here(), name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (!to) return to.error();
    auto copied = CopyContent(from->get(), to->get(), info.st_size, give_up_);
    if (copied) return {};
    Error error = std::move(copied).error();
    error.what += " " + name;
    return error;
  }

  Result<void> MakeSymlink(int dir, const std::string& name) {
    std::array<char, PATH_MAX> text{};
    const ssize_t length = ::readlinkat(dir, name.c_str(), text.data(), text.size() - 1);
    if (length < 0) return LastError("read link " + name);
    if (::symlinkat(text.data(), Here(), name.c_str()) != 0) return LastError("create " + name);
    return {};
  }

  Result<void> CopyInode(int dir, const std::string& name, const struct stat& info) {
    // The owner first: a change of it takes set-id bits and capabilities away.
    if (::fchownat(Here(), name.c_str(), info.st_uid, info.st_gid, AT_SYMLINK_NOFOLLOW) != 0)
      return LastError("chown " + name);
    if (!S_ISLNK(info.st_mode) && ::fchmodat(Here(), name.c_str(), info.st_mode & 07777, 0) != 0)
      return LastError("chmod " + name);
    CopyAttributes(kernel::PathOfFd(dir) + "/" + name, kernel::PathOfFd(Here()) + "/" + name,
                   /*follow=*/false);
    const Times times = TimesOf(info);
    if (::utimensat(Here(), name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0)
      return LastError("set times of " + name);
    return {};
  }

  static Result<void> SetTimes(const Frame& directory) {
    if (::futimens(directory.fd.get(), directory.times.data()) != 0)
      return LastError("set times of " + directory.name);
    return {};
  }

  const Context& ctx_;
  const kernel::GiveUp give_up_ = [this] { return !ctx_.Check().ok(); };
  const UniqueFd root_;
  std::vector<Frame> frames_;
  std::map<std::pair<dev_t, ino_t>, std::string> linked_;  // inode -> its first copy
};

}  // namespace

absl::Status CopyTree(const Context& ctx, const std::filesystem::path& source,
                      const std::filesystem::path& target) {
  auto from = kernel::Open(source, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!from) return snapshots::DiskStatus(from.error());
  auto to = kernel::Open(target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!to) return snapshots::DiskStatus(to.error());
  Copier copier(ctx, std::move(*to));
  if (auto copied = kernel::WalkTree(std::move(*from), false, copier); !copied) {
    RETURN_IF_ERROR(ctx.Check());
    return snapshots::DiskStatus(copied.error());
  }
  const auto finished = copier.Finish();
  return finished ? absl::OkStatus() : snapshots::DiskStatus(finished.error());
}

}  // namespace gantry::native
