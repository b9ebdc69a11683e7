// SPDX-License-Identifier: Apache-2.0
// What a call carries besides its arguments; the first argument of whatever may wait or write.
#pragma once

#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace gantry {

// A value: copied freely, kept past the call by work that outlives it. Nothing else is ambient.
struct Context {
  std::string ns;     // containerd namespace; empty only for calls that need none
  std::string lease;  // lease that created resources are attached to; empty for none
  absl::Time deadline = absl::InfiniteFuture();
  std::stop_token stop;  // requested when the caller went away or the daemon stops

  // OK while the work is still wanted, else Cancelled or DeadlineExceeded. Checked before each
  // costly step.
  absl::Status Check() const;

  // The same call with the deadline moved to at most `budget` from now.
  Context WithBudget(absl::Duration budget) const;

  // The same call without cancellation and deadline: for clean-up that must run to its end.
  Context Detached() const;

  // The same call in another namespace.
  Context InNamespace(std::string other) const;
};

}  // namespace gantry
