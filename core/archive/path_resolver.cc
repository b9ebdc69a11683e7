// SPDX-License-Identifier: Apache-2.0
#include "core/archive/path_resolver.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <deque>
#include <utility>

#include "core/archive/attributes.h"
#include "core/archive/overlay_marks.h"
#include "core/base/status.h"
#include "core/kernel/resolve.h"

namespace gantry::archive {
namespace {

constexpr int kMaxLinks = 255;

void PushFront(std::deque<std::string>& rest, std::string_view path) {
  std::vector<std::string> components;
  while (!path.empty()) {
    const std::string_view name = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), name.size() + 1));
    if (!name.empty() && name != ".") components.emplace_back(name);
  }
  rest.insert(rest.begin(), components.begin(), components.end());
}

class Resolver {
 public:
  Resolver(int root, bool whiteouts_are_missing)
      : root_(root), whiteouts_are_missing_(whiteouts_are_missing) {}

  absl::StatusOr<ResolvedPath> Run(std::string_view path) {
    PushFront(rest_, path);
    RETURN_IF_ERROR(Reopen());
    while (!rest_.empty() && result_.error == 0) {
      const std::string name = std::move(rest_.front());
      rest_.pop_front();
      RETURN_IF_ERROR(name == ".." ? Up() : Down(name));
    }
    return std::move(result_);
  }

 private:
  absl::Status Reopen() {
    ASSIGN_OR_RETURN(at_, OpenResolved(root_, result_.components, result_.existing));
    return absl::OkStatus();
  }

  absl::Status Up() {
    if (!result_.components.empty()) result_.components.pop_back();
    if (result_.components.size() >= result_.existing) return absl::OkStatus();
    result_.existing = result_.components.size();
    return Reopen();
  }

  absl::Status Down(const std::string& name) {
    const bool below_missing = result_.existing < result_.components.size();
    result_.components.push_back(name);
    if (below_missing) return absl::OkStatus();
    kernel::UniqueFd node(::openat(at_.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!node && errno == ENOENT) return absl::OkStatus();
    struct stat info = {};
    if (!node || ::fstat(node.get(), &info) != 0) return ApplyError(errno, "look up", name);
    if (S_ISDIR(info.st_mode)) {
      ++result_.existing;
      at_ = std::move(node);
    } else if (S_ISLNK(info.st_mode)) {
      return Follow(node.get(), name);
    } else if (!whiteouts_are_missing_ || !IsOverlayWhiteout(info)) {
      result_.error = ENOTDIR;
    }
    return absl::OkStatus();
  }

  absl::Status Follow(int link, const std::string& name) {
    if (++links_ > kMaxLinks) {
      result_.error = ELOOP;
      return absl::OkStatus();
    }
    std::array<char, PATH_MAX> target = {};
    const ssize_t size = ::readlinkat(link, "", target.data(), target.size());
    if (size < 0) return ApplyError(errno, "read link", name);
    result_.components.pop_back();
    const std::string_view text(target.data(), static_cast<size_t>(size));
    PushFront(rest_, text);
    if (!text.starts_with('/')) return absl::OkStatus();
    result_ = {};
    return Reopen();
  }

  const int root_;
  const bool whiteouts_are_missing_;
  std::deque<std::string> rest_;
  kernel::UniqueFd at_;  // O_PATH, the last existing directory
  int links_ = 0;
  ResolvedPath result_;
};

}  // namespace

absl::StatusOr<ResolvedPath> ResolvePath(int root, std::string_view path,
                                         bool whiteouts_are_missing) {
  return Resolver(root, whiteouts_are_missing).Run(path);
}

absl::StatusOr<kernel::UniqueFd> OpenResolved(int root, const std::vector<std::string>& components,
                                              size_t size) {
  const std::string path = size == 0 ? "." : JoinComponents(components, size);
  // A symlink here is a race that somebody tries to win.
  auto fd = kernel::OpenInside(root, path, O_RDONLY | O_DIRECTORY,
                               {.scope = kernel::Scope::kBeneath,
                                .follow_symlinks = false,
                                .cross_mounts = true,
                                .mode = 0});
  if (!fd) return ApplyError(fd.error().err, "open directory", path);
  return std::move(*fd);
}

std::string JoinComponents(const std::vector<std::string>& components, size_t size) {
  std::string path;
  for (size_t i = 0; i < size; ++i) {
    if (i > 0) path += '/';
    path += components[i];
  }
  return path;
}

}  // namespace gantry::archive
