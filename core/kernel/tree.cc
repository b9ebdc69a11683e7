// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>
#include <utility>

#include "core/kernel/file.h"
#include "core/kernel/resolve.h"
#include "core/kernel/tree_walk.h"

namespace gantry::kernel {
namespace {

Result<void> CheckWanted(const GiveUp& give_up) {
  return give_up && give_up() ? Error{ECANCELED, "go on"} : Result<void>();
}

class Remover final : public TreeVisitor {
 public:
  explicit Remover(const GiveUp& give_up) : give_up_(give_up) {}

  Result<void> VisitFile(int dir, const std::string& name) override {
    if (auto wanted = CheckWanted(give_up_); !wanted) return wanted;
    if (::unlinkat(dir, name.c_str(), 0) == 0 || errno == ENOENT) return {};
    // EBUSY: a mount on a file. EISDIR: a directory that took a file's place; the next pass has it.
    if (errno == EISDIR) return {};
    return LastError("remove " + name);
  }

  Result<void> EnterDirectory(int, const std::string&) override { return CheckWanted(give_up_); }

  Result<void> LeaveDirectory(int parent, const std::string& name) override {
    if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
    if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR) {
      remains_ = true;
      return {};
    }
    return LastError("remove " + name);
  }

  // Whether something that the walk did not see is left; tells and forgets.
  bool TakeRemains() { return std::exchange(remains_, false); }

 private:
  const GiveUp& give_up_;
  bool remains_ = false;
};

class Meter final : public TreeVisitor {
 public:
  explicit Meter(const GiveUp& give_up) : give_up_(give_up) {}

  Result<void> VisitFile(int dir, const std::string& name) override {
    if (auto wanted = CheckWanted(give_up_); !wanted) return wanted;
    struct stat info {};
    if (::fstatat(dir, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      return errno == ENOENT ? Result<void>() : LastError("stat " + name);
    }
    // Only links can bring a file here twice, so only linked files are remembered.
    if (info.st_nlink > 1 && !seen_.insert({info.st_dev, info.st_ino}).second) return {};
    Count(info);
    return {};
  }

  Result<void> EnterDirectory(int self, const std::string&) override {
    if (auto wanted = CheckWanted(give_up_); !wanted) return wanted;
    struct stat info {};
    if (::fstat(self, &info) != 0) return LastError("stat directory");
    Count(info);
    return {};
  }

  Result<void> LeaveDirectory(int, const std::string&) override { return {}; }

  const Usage& total() const { return total_; }

 private:
  void Count(const struct stat& info) {
    total_.bytes += static_cast<uint64_t>(info.st_blocks) * 512;
    ++total_.inodes;
  }

  const GiveUp& give_up_;
  Usage total_;
  std::set<std::pair<dev_t, ino_t>> seen_;
};

Error Named(Error error, const std::string& act, const std::string& path) {
  error.what = act + " " + path + ": " + error.what;
  return error;
}

Result<void> RemoveContent(const std::string& path, UniqueFd root, const GiveUp& give_up) {
  // Entries may be added meanwhile, and some file systems skip entries of a directory that shrinks
  // while it is read; both need another pass, but not for ever.
  constexpr int kMaxPasses = 8;
  Remover remover(give_up);
  for (int pass = 0; pass < kMaxPasses; ++pass) {
    auto again = OpenAt(root.get(), ".", O_RDONLY | O_DIRECTORY);
    if (!again) return again.error();
    if (auto walked = WalkTree(std::move(*again), true, remover); !walked) return walked;
    if (remover.TakeRemains()) continue;
    if (::rmdir(path.c_str()) == 0 || errno == ENOENT) return {};
    if (errno != ENOTEMPTY && errno != EEXIST) return LastError("remove");
  }
  return Error{ENOTEMPTY, "remove"};
}

}  // namespace

Result<void> RemoveTree(const std::string& path, const GiveUp& give_up) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM) return LastError("remove " + path);
  if (::rmdir(path.c_str()) == 0 || errno == ENOENT) return {};
  if (errno != ENOTEMPTY && errno != EEXIST) return LastError("remove " + path);
  auto root = Open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!root) return root.error().err == ENOENT ? Result<void>() : root.error();
  auto removed = RemoveContent(path, std::move(*root), give_up);
  return removed ? removed : Named(removed.error(), "remove tree", path);
}

Result<Usage> DiskUsage(const std::string& path, const GiveUp& give_up) {
  auto root = Open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!root) return root.error();
  Meter meter(give_up);
  auto walked = WalkTree(std::move(*root), false, meter);
  if (!walked) return Named(walked.error(), "measure", path);
  return meter.total();
}

}  // namespace gantry::kernel
