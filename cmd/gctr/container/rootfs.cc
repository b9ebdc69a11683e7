// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/container/rootfs.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/kernel/file.h"

namespace gantry::gctr {
namespace {

// Read-only mounts need not be written back when they go.
void MakeReadOnly(containerd::types::Mount& mount) {
  auto& options = *mount.mutable_options();
  const auto writable = std::ranges::find(options, "rw");
  if (writable != options.end()) options.erase(writable);
  if (std::ranges::find(options, "ro") == options.end()) mount.add_options("ro");
}

}  // namespace

absl::StatusOr<std::vector<kernel::ScopedMount>> MountAll(const ProtoMounts& mounts,
                                                          const std::string& target) {
  std::vector<kernel::ScopedMount> made;
  for (const containerd::types::Mount& mount : mounts) {
    kernel::MountSpec spec{.type = mount.type(),
                           .source = mount.source(),
                           .options = {mount.options().begin(), mount.options().end()}};
    std::string place = target;
    if (!mount.target().empty()) place = (std::filesystem::path(target) / mount.target()).string();
    absl::StatusOr<kernel::ScopedMount> scoped =
        ToStatusOr(kernel::ScopedMount::Make(spec, std::move(place)));
    if (!scoped.ok()) {
      while (!made.empty()) made.pop_back();  // the last one first
      return scoped.status();
    }
    made.push_back(*std::move(scoped));
  }
  return made;
}

absl::StatusOr<Rootfs> Rootfs::Open(const std::string& folder) {
  Rootfs root;
  root.path_ = folder;
  ASSIGN_OR_RETURN(root.fd_, ToStatusOr(kernel::Open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC)));
  return root;
}

absl::StatusOr<Rootfs> Rootfs::Mount(const ProtoMounts& mounts, Access access) {
  Rootfs root;
  std::string pattern = (std::filesystem::temp_directory_path() / "gctr-mount-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) return FromErrno(errno, "mkdtemp " + pattern);
  root.temporary_ = pattern;
  root.path_ = pattern;
  ProtoMounts wanted = mounts;
  if (access == Access::kReadOnly && !wanted.empty()) MakeReadOnly(*wanted.rbegin());
  ASSIGN_OR_RETURN(root.mounts_, MountAll(wanted, pattern));
  ASSIGN_OR_RETURN(root.fd_, ToStatusOr(kernel::Open(pattern, O_PATH | O_DIRECTORY | O_CLOEXEC)));
  return root;
}

Rootfs::~Rootfs() {
  fd_.Reset();
  while (!mounts_.empty()) {
    mounts_.back().Unmount().Ignore();  // else lazily
    mounts_.pop_back();
  }
  if (!temporary_.empty()) ::rmdir(temporary_.c_str());
}

}  // namespace gantry::gctr
