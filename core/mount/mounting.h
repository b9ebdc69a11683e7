// SPDX-License-Identifier: Apache-2.0
// Making and undoing a list of mounts. The rules are containerd's, see core/kernel/mount.h.
//
// Threads: any; each call blocks for as long as the kernel does.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "core/kernel/result.h"
#include "core/mount/mount.h"

namespace gantry::mount {

// The status of a mount that the kernel refused: Unknown with its text, as containerd's clients see
// it. The errno's own code would speak of an object of the API: a client takes NotFound for a
// missing snapshot.
absl::Status FailedMount(const kernel::Error& error);

// Makes one mount at `target`, or at its own target below that, which is resolved as in a chroot.
// Errors: of FailedMount() alone; one is an option word with the prefix "X-containerd.", which is
// the mount manager's.
absl::Status MountOne(const Mount& mount, const std::string& target);

// Makes all mounts in order, each at `target` or below it. On failure what was made is undone.
absl::Status MountAll(const Mounts& mounts, const std::string& target);

// Undoes every mount at `target` and below it, stacked ones too. A busy one is waited for up to 2.5
// seconds. No mount there is success.
absl::Status UnmountAll(const std::string& target);

// The same mounts for a short look that changes nothing: an overlay's upper directory becomes its
// first lower one, everything else gets "ro"; id maps are dropped.
Mounts ReadOnly(Mounts mounts);

// The same mounts without overlay's "volatile", which forbids to mount the same upper directory
// again.
Mounts WithoutVolatile(Mounts mounts);

}  // namespace gantry::mount
