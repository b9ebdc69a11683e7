// SPDX-License-Identifier: Apache-2.0
// Checkpoints as content: what CRIU dumped, as a tar archive, and the container's spec.
//
// Threads: any; all functions block on the disk for as long as the amount of data takes.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/context.h"
#include "core/base/status.h"
#include "core/content/content_store.h"
#include "core/content/descriptor.h"

namespace gantry::tasks {

inline constexpr std::string_view kCheckpointMediaType =
    "application/vnd.containerd.container.criu.checkpoint.criu.tar";
inline constexpr std::string_view kCheckpointConfigMediaType =
    "application/vnd.containerd.container.checkpoint.config.v1+proto";

// A new directory for a dump below `parent`, removed with all that is in it at the end.
class [[nodiscard]] ScopedDump {
 public:
  static absl::StatusOr<ScopedDump> Make(const std::filesystem::path& parent);
  ScopedDump(ScopedDump&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ScopedDump& operator=(ScopedDump&&) = delete;
  ~ScopedDump();

  const std::filesystem::path& path() const { return path_; }

 private:
  explicit ScopedDump(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

// Removes the dumps below `parent` that a crash left there. None may be in use.
void RemoveLeftDumps(const std::filesystem::path& parent);

// Stores the directory as a tar archive. Content that is there already is as good.
absl::StatusOr<Descriptor> StoreDirectory(const Context& ctx, content::ContentStore& store,
                                          const std::filesystem::path& directory);
absl::StatusOr<Descriptor> StoreBytes(const Context& ctx, content::ContentStore& store,
                                      std::string_view bytes, std::string_view media_type,
                                      const std::string& ref);

// Unpacks a stored checkpoint. InvalidArgument for content of another media type.
absl::Status FetchCheckpoint(const Context& ctx, content::ContentStore& store,
                             const Descriptor& checkpoint, const std::filesystem::path& into);

// Unpacks an archive of changes, compressed or not, over a root file system.
absl::Status ApplyArchive(const Context& ctx, const std::filesystem::path& archive,
                          const std::filesystem::path& rootfs);

}  // namespace gantry::tasks
