// SPDX-License-Identifier: Apache-2.0
#include "core/base/context.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"

namespace gantry {

absl::Status Context::Check() const {
  if (stop.stop_requested()) return absl::CancelledError("context canceled");
  if (deadline != absl::InfiniteFuture() && absl::Now() >= deadline) {
    return absl::DeadlineExceededError("context deadline exceeded");
  }
  return absl::OkStatus();
}

Context Context::WithBudget(absl::Duration budget) const {
  Context copy = *this;
  copy.deadline = std::min(deadline, absl::Now() + budget);
  return copy;
}

Context Context::Detached() const { return {.ns = ns, .lease = lease}; }

Context Context::InNamespace(std::string other) const {
  Context copy = *this;
  copy.ns = std::move(other);
  return copy;
}

}  // namespace gantry
