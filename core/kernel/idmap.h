// SPDX-License-Identifier: Apache-2.0
// Mounts whose owners are shifted: user_namespaces(7), open_tree(2), mount_setattr(2).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/kernel/result.h"
#include "core/kernel/unique_fd.h"

namespace gantry::kernel {

struct IdMapEntry {
  uint32_t container = 0;
  uint32_t host = 0;
  uint32_t size = 0;

  bool operator==(const IdMapEntry&) const = default;
};
using IdMap = std::vector<IdMapEntry>;

// "container:host:size[,…]", at least one range, none empty. EINVAL otherwise.
Result<IdMap> ParseIdMap(std::string_view text);

// A user namespace with these maps, held by the fd alone.
Result<UniqueFd> MakeUserNamespace(const IdMap& uids, const IdMap& gids);

// A detached copy of the mount at `path` and, when `recursive`, of those below it. It vanishes with
// the fd unless it is attached.
Result<UniqueFd> CloneMountTree(const std::string& path, bool recursive);

// Shifts the owners that a detached tree shows, by `user_namespace`; also makes it read-only if
// asked to.
Result<void> IdmapTree(int tree, int user_namespace, bool recursive, bool read_only);

// Attaches a detached tree at `target`, on top of what is mounted there.
Result<void> AttachTree(int tree, const std::string& target);

}  // namespace gantry::kernel
