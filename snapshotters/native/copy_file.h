// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>

#include "core/kernel/result.h"
#include "core/kernel/tree.h"

namespace gantry::native {

// Copies `size` bytes between two open files, shared blocks where the file system can, and holes as
// holes. `to` is new. ECANCELED once `give_up` says so.
kernel::Result<void> CopyContent(int from, int to, off_t size, const kernel::GiveUp& give_up);

// Copies the extended attributes of what `from` names to what `to` names; links are not followed
// unless `follow`. Attributes that cannot be read or set are left out: security.* often may not.
void CopyAttributes(const std::string& from, const std::string& to, bool follow);

}  // namespace gantry::native
