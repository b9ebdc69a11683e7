// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/tree_walk.h"

#include <fcntl.h>

#include <utility>

#include "core/kernel/file.h"
#include "core/kernel/resolve.h"

namespace gantry::kernel {
namespace {

// Directories above this depth stay open; deeper ones are found again through "..".
constexpr size_t kOpenDepth = 64;

struct Frame {
  UniqueFd fd;
  std::string name;                   // in its parent
  dev_t device = 0;                   // identity, to know it again
  ino_t inode = 0;                    //
  std::vector<std::string> children;  // directories still to be entered
};

class Walk {
 public:
  Walk(bool mounts_are_errors, TreeVisitor& visitor)
      : mounts_are_errors_(mounts_are_errors), visitor_(visitor) {}

  Result<void> Run(UniqueFd root) {
    if (auto pushed = Push(std::move(root), ""); !pushed) return pushed;
    while (true) {
      Frame& top = frames_.back();
      if (!top.children.empty()) {
        const std::string child = std::move(top.children.back());
        top.children.pop_back();
        if (auto down = Descend(child); !down) return down;
      } else if (frames_.size() == 1) {
        return {};
      } else if (auto up = Ascend(); !up) {
        return up;
      }
    }
  }

 private:
  Result<void> Push(UniqueFd fd, const std::string& name) {
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) return LastError("stat " + name);
    if (auto entered = visitor_.EnterDirectory(fd.get(), name); !entered) return entered;
    // The walk reads a second fd, so that its own keeps no directory position.
    auto listing = OpenAt(fd.get(), ".", O_RDONLY | O_DIRECTORY);
    if (!listing) return listing.error();
    frames_.push_back({.fd = std::move(fd),
                       .name = name,
                       .device = info.st_dev,
                       .inode = info.st_ino,
                       .children = {}});
    return List(std::move(*listing), frames_.back());
  }

  // Visits the files at once and notes the directories.
  Result<void> List(UniqueFd listing, Frame& frame) {
    struct CloseDir {
      void operator()(DIR* dir) const { ::closedir(dir); }
    };
    std::unique_ptr<DIR, CloseDir> dir(::fdopendir(listing.get()));
    if (!dir) return LastError("read directory " + frame.name);
    (void)listing.Release();  // closedir closes it
    while (true) {
      errno = 0;
      const dirent* entry = ::readdir(dir.get());
      if (entry == nullptr && errno == ENOENT) return {};  // removed while it was read
      if (entry == nullptr && errno != 0) return LastError("read directory " + frame.name);
      if (entry == nullptr) return {};
      std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (IsDirectory(frame.fd.get(), name, entry->d_type)) {
        frame.children.push_back(std::move(name));
      } else if (auto visited = visitor_.VisitFile(frame.fd.get(), name); !visited) {
        return visited;
      }
    }
  }

  static bool IsDirectory(int dir, const std::string& name, unsigned char type) {
    if (type != DT_UNKNOWN) return type == DT_DIR;
    struct stat info {};
    return ::fstatat(dir, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode);
  }

  Result<void> Descend(const std::string& name) {
    const int parent = frames_.back().fd.get();
    auto child = OpenInside(
        parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
        {.scope = Scope::kBeneath, .follow_symlinks = false, .cross_mounts = false, .mode = 0});
    if (!child) return CannotEnter(parent, name, child.error());
    if (frames_.size() > kOpenDepth) frames_.back().fd.Reset();
    return Push(std::move(*child), name);
  }

  Result<void> CannotEnter(int parent, const std::string& name, const Error& error) {
    switch (error.err) {
      case ENOENT:
        return {};
      case ENOTDIR:  // replaced by a file or a symlink since it was listed
      case ELOOP:
        return visitor_.VisitFile(parent, name);
      case EXDEV:
        return mounts_are_errors_ ? Error{EBUSY, "mount point " + name} : Result<void>();
      default:
        return error;
    }
  }

  Result<void> Ascend() {
    Frame done = std::move(frames_.back());
    frames_.pop_back();
    Frame& parent = frames_.back();
    if (!parent.fd) {
      if (auto again = Reopen(done, parent); !again) return again;
    }
    return visitor_.LeaveDirectory(parent.fd.get(), done.name);
  }

  static Result<void> Reopen(const Frame& child, Frame& parent) {
    auto fd = OpenAt(child.fd.get(), "..", O_RDONLY | O_DIRECTORY);
    if (!fd) return fd.error();
    struct stat info {};
    if (::fstat(fd->get(), &info) != 0) return LastError("stat " + parent.name);
    // Moved elsewhere meanwhile: going on would walk a tree that nobody asked for.
    if (info.st_dev != parent.device || info.st_ino != parent.inode) {
      return Error{ESTALE, "return to directory " + parent.name};
    }
    parent.fd = std::move(*fd);
    return {};
  }

  const bool mounts_are_errors_;
  TreeVisitor& visitor_;
  std::vector<Frame> frames_;
};

}  // namespace

Result<void> WalkTree(UniqueFd root, bool mounts_are_errors, TreeVisitor& visitor) {
  return Walk(mounts_are_errors, visitor).Run(std::move(root));
}

}  // namespace gantry::kernel
