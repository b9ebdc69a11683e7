// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>

#include "core/kernel/result.h"

namespace gantry::native {

// Copies `size` bytes between two open files, shared blocks where the file system can, and holes as
// holes. `to` is new.
kernel::Result<void> CopyContent(int from, int to, off_t size);

// Copies the extended attributes of what `from` names to what `to` names; links are not followed
// unless `follow`. Attributes that cannot be read or set are left out: security.* often may not.
void CopyAttributes(const std::string& from, const std::string& to, bool follow);

}  // namespace gantry::native
