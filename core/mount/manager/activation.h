// SPDX-License-Identifier: Apache-2.0
// What the mount manager makes and keeps for its clients.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "core/base/labels.h"
#include "core/mount/mount.h"

namespace gantry::mount {

// A mount that the manager has made.
struct ActiveMount {
  Mount mount;
  std::string mount_point;  // for "loop" a link to the device
  absl::Time mounted_at;
  std::map<std::string, std::string> data;  // of the handler, for mounts that build on this one
};

// A named group of mounts of a namespace.
struct ActivationInfo {
  std::string name;
  std::vector<ActiveMount> active;  // made by the manager, in order
  Mounts system;                    // what the caller still mounts, in order
  Labels labels;
};

struct ActivateOptions {
  Labels labels;
  // The caller wants a short look: everything is mounted, and `system` is one bind of the last.
  bool temporary = false;
  // Types and transformations ("format", "mkfs") that the caller takes care of itself, where they
  // stand at the list's end.
  std::vector<std::string> own_types;
  std::vector<std::string> own_transforms;
};

// An activation as it is stored.
struct ActivationRecord {
  std::string ns;
  uint64_t id = 0;        // names its target directory; never used twice
  bool complete = false;  // false while its mounts are being made
  std::string lease;      // that it was made under; empty for none
  absl::Time created_at;
  absl::Time updated_at;
  ActivationInfo info;
};

}  // namespace gantry::mount
