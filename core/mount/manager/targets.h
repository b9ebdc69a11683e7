// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/context.h"
#include "core/mount/manager/plan.h"

namespace gantry::mount {

// Where activations are mounted:
//
//   <directory>/<id>/<n>       a mount point
//   <directory>/<id>/<n>-type  the mount's type, which says how it is undone
//
// n counts down to 1 in the order of mounting, padded to equal length: ascending names are the
// order of unmounting. The files alone are enough to undo an activation that nobody remembers.
//
// Threads: any, each id by one at a time.
class Targets {
 public:
  // Makes the directory. `handlers` outlive the object.
  static absl::StatusOr<Targets> Open(std::filesystem::path directory, const Handlers& handlers);

  // Makes the directory of an activation.
  absl::Status Create(uint64_t id) const;

  // Notes the type of mount `index` of `count` and gives its mount point, which does not exist yet.
  absl::StatusOr<std::string> Reserve(uint64_t id, size_t index, size_t count,
                                      const std::string& type) const;

  // Unmounts all of an activation and removes its directory. One that is not there is success. Goes
  // on after a failure, and gives the first; what was undone is not tried again.
  absl::Status Undo(const Context& ctx, uint64_t id) const;

  // Removes the directory of an activation without unmounting or detaching anything; what holds
  // data stays, and is an error.
  absl::Status Forget(uint64_t id) const;

  bool Exists(uint64_t id) const;

  // The ids that have a directory.
  absl::StatusOr<std::vector<uint64_t>> Ids() const;

  const std::filesystem::path& directory() const { return directory_; }

 private:
  Targets(std::filesystem::path directory, const Handlers& handlers)
      : directory_(std::move(directory)), handlers_(&handlers) {}
  std::filesystem::path PathOf(uint64_t id) const;
  absl::Status UndoOne(const Context& ctx, const std::filesystem::path& mount_point) const;

  std::filesystem::path directory_;
  const Handlers* handlers_;  // a pointer, so that the object can be moved
};

}  // namespace gantry::mount
