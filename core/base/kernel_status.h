// SPDX-License-Identifier: Apache-2.0
// From core/kernel's results to statuses. Codes as FromErrno() maps them: true of the system call,
// so whoever knows the API object decides again.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/kernel/result.h"

namespace gantry {

absl::Status ToStatus(const kernel::Error& error);
absl::Status ToStatus(const kernel::Result<void>& result);

template <typename T>
absl::StatusOr<T> ToStatusOr(kernel::Result<T> result) {
  if (!result.ok()) return ToStatus(result.error());
  return *std::move(result);
}

}  // namespace gantry
