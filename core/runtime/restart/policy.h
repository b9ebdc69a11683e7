// SPDX-License-Identifier: Apache-2.0
// What the labels of a container say about restarting it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/labels.h"
#include "core/base/status.h"
#include "core/runtime/task_types.h"

namespace gantry::runtime::restart {

inline constexpr std::string_view kStatusLabel = "containerd.io/restart.status";
inline constexpr std::string_view kPolicyLabel = "containerd.io/restart.policy";
inline constexpr std::string_view kCountLabel = "containerd.io/restart.count";
inline constexpr std::string_view kLogUriLabel = "containerd.io/restart.loguri";
inline constexpr std::string_view kLogPathLabel = "containerd.io/restart.logpath";
inline constexpr std::string_view kExplicitlyStoppedLabel =
    "containerd.io/restart.explicitly-stopped";

// "no", "always", "on-failure[:N]" or "unless-stopped"; empty means always.
struct Policy {
  enum class Kind { kNo, kAlways, kOnFailure, kUnlessStopped };
  Kind kind = Kind::kAlways;
  int64_t max_restarts = 0;  // of kOnFailure; 0: without limit

  bool operator==(const Policy&) const = default;
};

// InvalidArgument for any other text.
absl::StatusOr<Policy> ParsePolicy(std::string_view text);

enum class Action { kLeave, kStart, kStop };

// Whether the labels ask for anything at all.
bool IsWatched(const Labels& labels);

// What brings a container to the state that its labels ask for; `task` is absent where there is
// none. Such a container has not failed, so "on-failure" leaves it.
//
// Errors: InvalidArgument for a policy, or a count that the policy needs, which is none.
absl::StatusOr<Action> Decide(const Labels& labels, const std::optional<ProcessState>& task);

// The same for a task that has failed, was deleted to be replaced, and was counted as restarted
// already.
absl::StatusOr<Action> DecideAgain(Labels labels);

// The number of restarts so far; 0 for a label that is absent or no number.
int64_t RestartCount(const Labels& labels);

// Where the output goes: the log URI, or the path that stood in its place in older clients; nowhere
// without either.
Stdio StdioFor(const Labels& labels, bool terminal);

}  // namespace gantry::runtime::restart
