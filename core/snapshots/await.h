// SPDX-License-Identifier: Apache-2.0
// For threads of their own that may block until another process answers: an unpacker's, a test's.
// Never on a worker pool or a loop thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/functional/function_ref.h"
#include "core/base/mutex.h"
#include "core/base/status.h"

namespace gantry::snapshots {

// Starts a call and waits for its answer, which always comes: every call to another process has a
// budget.
//   Await<Info>([&](auto done) { snapshotter.Stat(ctx, key, std::move(done)); })
// For calls that answer with a status alone, T is absl::Status.
template <typename T, typename Start>
auto Await(Start start) {
  using Answer =
      std::conditional_t<std::is_same_v<T, absl::Status>, absl::Status, absl::StatusOr<T>>;
  struct State {
    base::Mutex mutex;
    base::CondVar changed;
    std::optional<Answer> answer ABSL_GUARDED_BY(mutex);
  };
  // Shared, since the answering thread may still hold the lock when this one returns.
  const auto state = std::make_shared<State>();
  start([state](Answer answer) {
    base::MutexLock lock(state->mutex);
    state->answer.emplace(std::move(answer));
    state->changed.NotifyAll();
  });
  base::MutexLock lock(state->mutex);
  while (!state->answer.has_value()) state->changed.Wait(state->mutex);
  return *std::move(state->answer);
}

}  // namespace gantry::snapshots
