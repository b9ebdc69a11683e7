// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "cmd/gctr/client/client.h"
#include "cmd/gctr/client/snapshots.h"
#include "core/kernel/mount.h"
#include "core/kernel/unique_fd.h"

namespace gantry::gctr {

// A root file system to look into while this object lives: a folder, or mounts on a temporary one.
class [[nodiscard]] Rootfs {
 public:
  enum class Access { kReadOnly, kWritable };

  static absl::StatusOr<Rootfs> Open(const std::string& folder);
  static absl::StatusOr<Rootfs> Mount(const ProtoMounts& mounts, Access access);

  Rootfs(Rootfs&&) noexcept = default;
  Rootfs& operator=(Rootfs&&) = delete;
  ~Rootfs();

  int fd() const { return fd_.get(); }  // an O_PATH descriptor of the root
  const std::string& path() const { return path_; }

 private:
  Rootfs() = default;

  std::string path_;
  std::string temporary_;  // a folder to remove; empty for none
  std::vector<kernel::ScopedMount> mounts_;
  kernel::UniqueFd fd_;
};

// Mounts one after the other, each on top of the ones before; undone when one fails.
absl::StatusOr<std::vector<kernel::ScopedMount>> MountAll(const ProtoMounts& mounts,
                                                          const std::string& target);

}  // namespace gantry::gctr
