// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "core/base/status.h"
#include "core/runtime/bootstrap.h"

namespace gantry::runtime {

// The folders below which bundles lie: <state>/<ns>/<id> with a twin <root>/<ns>/<id> that outlives
// a reboot.
struct BundleRoots {
  std::filesystem::path state;
  std::filesystem::path root;
};

// How a task's init process ended, as it was announced.
struct RecordedExit {
  uint32_t status = 0;
  absl::Time exited_at;

  bool operator==(const RecordedExit&) const = default;
};

// The directory that daemon and shim share about one container:
//
//   config.json       the spec, byte for byte; absent when the container has none
//   rootfs/           where the shim mounts the root file system
//   work              link to the twin
//   log               fifo: the shim's log
//   shim-binary-path  the shim program; written once it has started
//   bootstrap.json    where the shim listens
//   address           the same, from shims of old
//   s                 link to the directory of its socket, where that is not the usual one
//   sandbox           id of the sandbox whose shim serves this container too
//   creating          there until the task exists and its creator will be told so
//   exited            how the init process ended; there once that was announced
//   removing          there once the bundle was to go and could not
//
// The last three are ours alone: with their help a new daemon tells what the one before had
// promised. What else lies there is the shim's.
//
// A value; all methods touch the disk. Errors are those of the file system.
class Bundle {
 public:
  Bundle(const BundleRoots& roots, std::string ns, std::string id);

  // Makes the directory. With gid mappings in the spec it opens to the group that is root inside.
  //
  // Errors: AlreadyExists. Nothing is left behind on failure.
  static absl::StatusOr<Bundle> Create(const BundleRoots& roots, std::string ns, std::string id,
                                       std::optional<std::string_view> spec);

  const std::string& ns() const { return ns_; }
  const std::string& id() const { return id_; }
  const std::filesystem::path& path() const { return path_; }
  const std::filesystem::path& work() const { return work_; }  // the twin
  std::filesystem::path rootfs() const { return path_ / "rootfs"; }
  std::filesystem::path log() const { return path_ / "log"; }

  absl::StatusOr<std::string> ReadSpec() const;

  absl::Status WriteShimBinary(const std::filesystem::path& program) const;
  absl::StatusOr<std::filesystem::path> ReadShimBinary() const;

  absl::Status WriteEndpoint(const Endpoint& endpoint) const;
  // From bootstrap.json or, for shims of old, from `address`, then written anew in the new form.
  absl::StatusOr<Endpoint> ReadEndpoint() const;
  absl::Status ForgetEndpoint() const;  // Idempotent.

  // Notes where the shim makes its socket, when that is not where shims make them otherwise.
  absl::Status LinkSocketDirectory(const std::filesystem::path& directory) const;

  absl::Status WriteSandbox(std::string_view sandbox_id) const;
  absl::StatusOr<std::string> ReadSandbox() const;  // empty when it has none

  absl::Status MarkCreated() const;
  bool creating() const;
  bool removing() const;
  bool empty() const;  // as a crash in Create() leaves it

  absl::Status RecordExit(const RecordedExit& exit) const;
  std::optional<RecordedExit> ReadExit() const;

  // The pid that the OCI runtime wrote; 0 when there is none.
  uint32_t ReadInitPid() const;

  // Takes both directories away, unmounting what is left below rootfs. Never deletes through a
  // mount: one that cannot be unmounted ends it with an error, and what is left is marked as
  // `removing`. Idempotent. With `may_unmount` false, Unavailable is answered where there is
  // something to unmount, which can take long.
  absl::Status Remove(bool may_unmount) const;

 private:
  absl::Status Fill(std::optional<std::string_view> spec) const;
  absl::Status MakeWork() const;
  absl::Status RemoveAll(bool may_unmount) const;

  std::string ns_;
  std::string id_;
  std::filesystem::path path_;
  std::filesystem::path work_;
};

// The bundles that exist, and half removed ones, whose names start with a dot.
struct BundleListing {
  std::vector<std::pair<std::string, std::string>> bundles;  // namespace, id
  std::vector<std::filesystem::path> remains;
};
absl::StatusOr<BundleListing> ListBundles(const std::filesystem::path& folder);

// The host's group for group 0 of the container, if the spec maps it to another one.
std::optional<uint32_t> MappedRootGroup(std::string_view spec);

}  // namespace gantry::runtime
