// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/resolve.h"

#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace gantry::kernel {
namespace {

// openat2 answers EAGAIN when a rename or mount raced with a ".."; a storm of them is an attack or
// a broken machine.
constexpr int kMaxRaces = 128;

}  // namespace

Result<UniqueFd> OpenInside(int root, const std::string& path, int flags,
                            const ResolveOptions& options) {
  open_how how{};
  how.flags = static_cast<__u64>(flags | O_CLOEXEC);
  how.mode = options.mode;
  how.resolve = RESOLVE_NO_MAGICLINKS;
  how.resolve |= options.scope == Scope::kInRoot ? RESOLVE_IN_ROOT : RESOLVE_BENEATH;
  if (!options.follow_symlinks) how.resolve |= RESOLVE_NO_SYMLINKS;
  if (!options.cross_mounts) how.resolve |= RESOLVE_NO_XDEV;
  for (int races = 0;;) {
    UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof(how))));
    if (fd) return fd;
    if (errno == EINTR) continue;
    if (errno != EAGAIN || ++races > kMaxRaces) return LastError("open " + path);
  }
}

Result<UniqueFd> MakeDirectoriesInside(int root, const std::string& path, mode_t mode) {
  constexpr int kDirectory = O_PATH | O_DIRECTORY;
  if (auto whole = OpenInside(root, path, kDirectory); whole || whole.error().err != ENOENT) {
    return whole;
  }
  // Each prefix is opened from the root again, so that an absolute symlink or ".." on the way means
  // what it means in a chroot.
  UniqueFd at;
  for (size_t start = 0; start < path.size();) {
    size_t end = path.find('/', start);
    if (end == std::string::npos) end = path.size();
    const std::string name = path.substr(start, end - start);
    const std::string prefix = path.substr(0, end);
    start = end + 1;
    if (name.empty()) continue;
    auto next = OpenInside(root, prefix, kDirectory);
    if (!next && next.error().err == ENOENT) {
      const int parent = at ? at.get() : root;
      if (::mkdirat(parent, name.c_str(), mode) != 0 && errno != EEXIST) {
        return LastError("mkdir " + prefix);
      }
      next = OpenInside(root, prefix, kDirectory);
    }
    if (!next) return next;
    at = std::move(*next);
  }
  if (!at) return OpenInside(root, ".", kDirectory);
  return at;
}

std::string PathOfFd(int fd) { return "/proc/thread-self/fd/" + std::to_string(fd); }

}  // namespace gantry::kernel
