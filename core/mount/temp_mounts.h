// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/mount/mount.h"

namespace gantry::mount {

// Mounts that are made for one look at them, under a directory of their own.
//
// Ownership: unmounts at the end and removes the directory, which is empty then. If unmounting
// fails, the directory stays, for TempMounts::Open() to clean up; its content is never deleted.
class [[nodiscard]] ScopedTempMount {
 public:
  ScopedTempMount(ScopedTempMount&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ScopedTempMount& operator=(ScopedTempMount&&) = delete;
  ~ScopedTempMount();

  const std::string& path() const { return path_; }

  // What the destructor does, with its outcome. Idempotent.
  absl::Status Unmount();

 private:
  friend class TempMounts;
  explicit ScopedTempMount(std::string path) : path_(std::move(path)) {}
  std::string path_;  // empty once unmounted
};

// The daemon's place for temporary mounts: `<root>/tmpmounts`.
//
// Threads: const methods from any thread.
class TempMounts {
 public:
  // Makes the directory (0700), unmounts and removes what an earlier daemon left there. What cannot
  // be cleaned up is logged and left.
  static absl::StatusOr<TempMounts> Open(std::filesystem::path directory);

  // Mounts the list, without "volatile".
  absl::StatusOr<ScopedTempMount> Make(const Mounts& mounts) const;
  // The same, changed as ReadOnly() does.
  absl::StatusOr<ScopedTempMount> MakeReadOnly(const Mounts& mounts) const;

  // Mounts the list, calls `body` with the directory, unmounts. Of two failures that of `body`
  // comes first in the message.
  absl::Status With(const Mounts& mounts,
                    absl::FunctionRef<absl::Status(const std::string& path)> body) const;

  const std::filesystem::path& directory() const { return directory_; }

 private:
  explicit TempMounts(std::filesystem::path directory) : directory_(std::move(directory)) {}
  std::filesystem::path directory_;
};

}  // namespace gantry::mount
