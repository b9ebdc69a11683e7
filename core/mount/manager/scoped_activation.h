// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "core/base/context.h"
#include "core/mount/mount.h"

namespace gantry::mount {

class MountManager;

// What the mount manager made for one piece of work of the daemon itself. No client sees it and no
// collection takes it; should the daemon die, the next one undoes it.
//
// Ownership: undoes the mounts at the end. The manager outlives it.
// Threads:   one at a time.
class [[nodiscard]] ScopedActivation {
 public:
  // Nothing is active: these mounts can be made as they are.
  explicit ScopedActivation(Mounts mounts) : mounts_(std::move(mounts)) {}

  ScopedActivation(ScopedActivation&& other) noexcept
      : manager_(std::exchange(other.manager_, nullptr)),
        ctx_(std::move(other.ctx_)),
        id_(other.id_),
        name_(std::move(other.name_)),
        mounts_(std::move(other.mounts_)) {}
  ScopedActivation& operator=(ScopedActivation&&) = delete;
  ~ScopedActivation() { Undo(); }

  // What is left to mount. Valid until Undo().
  const Mounts& mounts() const { return mounts_; }

  // What the destructor does. Idempotent. A mount that cannot be undone now is logged, and tried
  // again by MountManager::CleanUp().
  void Undo();

 private:
  friend class MountManager;
  ScopedActivation(MountManager& manager, const Context& ctx, uint64_t id, std::string name,
                   Mounts mounts)
      : manager_(&manager),
        ctx_(ctx.Detached()),
        id_(id),
        name_(std::move(name)),
        mounts_(std::move(mounts)) {}

  MountManager* manager_ = nullptr;  // null: nothing to undo
  Context ctx_;
  uint64_t id_ = 0;
  std::string name_;
  Mounts mounts_;
};

}  // namespace gantry::mount
