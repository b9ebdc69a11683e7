// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "core/base/gate.h"
#include "core/base/status.h"

namespace gantry::proxy {

// Lets so many calls in at once, and none any more once it is closed.
//
// Threads: all methods from any thread. Outlives every permit.
class Admission {
 public:
  explicit Admission(size_t limit) : limit_(limit) {}

  // One call's place, given back at its end.
  class Permit {
   public:
    Permit(base::Gate::Pass pass, std::atomic<size_t>& inside)
        : inside_(inside), pass_(std::move(pass)) {}
    Permit(Permit&&) = delete;
    Permit& operator=(Permit&&) = delete;
    ~Permit() { --inside_; }

   private:
    std::atomic<size_t>& inside_;
    base::Gate::Pass pass_;  // Given back last: then the admission may be gone.
  };

  // ResourceExhausted beyond the limit, Unavailable after Close().
  absl::StatusOr<std::unique_ptr<Permit>> Enter() {
    std::optional<base::Gate::Pass> pass = gate_.Enter();
    if (!pass) return Unavailable("the snapshotter is closing");
    if (++inside_ > limit_) {
      --inside_;
      return ResourceExhausted("too many calls are waiting for the snapshotter");
    }
    return std::make_unique<Permit>(*std::move(pass), inside_);
  }

  // Refuses new calls and waits for those inside.
  void Close() { gate_.Close(); }

 private:
  const size_t limit_;
  std::atomic<size_t> inside_ = 0;
  base::Gate gate_;
};

}  // namespace gantry::proxy
