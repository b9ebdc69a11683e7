// SPDX-License-Identifier: Apache-2.0
#include "core/base/kernel_status.h"

#include "core/base/status.h"

namespace gantry {

absl::Status ToStatus(const kernel::Error& error) { return FromErrno(error.err, error.what); }

absl::Status ToStatus(const kernel::Result<void>& result) {
  return result.ok() ? absl::OkStatus() : ToStatus(result.error());
}

}  // namespace gantry
