// SPDX-License-Identifier: Apache-2.0
// What of a task's root file system the shim cannot mount itself: the mount manager does it, under
// the task's id, for as long as the container is there.
#pragma once

#include <optional>

#include "absl/functional/any_invocable.h"
#include "core/mount/mount.h"
#include "core/runtime/bootstrap.h"
#include "core/runtime/bundle.h"
#include "core/runtime/caller.h"
#include "core/runtime/task_env.h"

namespace gantry::runtime {

// Gives the mounts that are left to a shim which takes over what `claims` says; those of `rootfs`
// themselves where it can do all. Mounts that an earlier task of that id left active are used
// again; a client's own of that name end in AlreadyExists.
//
// Answers on the calling thread when there is nothing to do. Errors: of MountManager::Activate().
void ActivateRootfs(TaskEnv& env, const Bundle& bundle, const mount::Mounts& rootfs,
                    const std::optional<MountClaims>& claims, Done<mount::Mounts> done);

// Undoes what ActivateRootfs() made for the bundle's task, if anything. What fails is logged and
// left to the collector. On the calling thread if there is nothing to do; reads the database.
void DeactivateRootfs(TaskEnv& env, const Bundle& bundle, absl::AnyInvocable<void()> then);

}  // namespace gantry::runtime
