// SPDX-License-Identifier: Apache-2.0
// Owner, extended attributes, mode and times of what was just made: set in this order, since a
// change of owner drops set-id bits and capabilities.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/archive/apply.h"
#include "core/archive/entry.h"

namespace gantry::archive {

using Xattrs = std::vector<std::pair<std::string, std::string>>;

// Access and modification time, as utimensat(2) takes them.
using Times = std::array<timespec, 2>;

struct Attributes {
  uid_t uid = 0;
  gid_t gid = 0;
  mode_t mode = 0;  // permission, set-id and sticky bits
  Times times = {};
  Xattrs xattrs = {};
};

// Those of an entry: a modification time before 1970 or after 2262 becomes 1970, the access time is
// never before it. InvalidArgument for owners that the kernel cannot hold.
absl::StatusOr<Attributes> AttributesOf(const Entry& entry);

// A failed system call on behalf of an archive: ResourceExhausted for a full disk,
// PermissionDenied, InvalidArgument where the archive asked for the impossible, else Internal.
absl::Status ApplyError(int error, std::string_view act, std::string_view name);

class AttributeSetter {
 public:
  // `warnings` outlives the setter.
  AttributeSetter(bool in_user_namespace, Warnings& warnings)
      : in_user_namespace_(in_user_namespace), warnings_(warnings) {}

  // A file or directory by an fd that is no O_PATH one. `times` false leaves the times alone.
  absl::Status Set(int fd, std::string_view name, const Attributes& attributes, bool times);

  // Anything else, by its place; a symlink there is not followed.
  absl::Status SetAt(int parent, const std::string& base, std::string_view name,
                     const Attributes& attributes);

  // Counts what is left out, and keeps the first case.
  void Warn(std::string_view kind, std::string_view name, std::string_view detail);

 private:
  absl::Status SetOwnerError(int error, std::string_view name) const;
  // `path` when `fd` is negative.
  absl::Status SetXattrs(int fd, const std::string& path, mode_t type, std::string_view name,
                         const Xattrs& xattrs);

  const bool in_user_namespace_;
  Warnings& warnings_;
};

// The extended attributes of what `fd`, an O_PATH one at least, is open on, but for the host's.
absl::StatusOr<Xattrs> ReadXattrs(int fd, std::string_view shown);

// Whether an archive may set the attribute: "trusted." is the host's, overlay's own marks are too.
bool IsHostXattr(std::string_view name);

}  // namespace gantry::archive
