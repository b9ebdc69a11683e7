// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/restart/policy.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <limits>

namespace gantry::runtime::restart {
namespace {

std::string_view Find(const Labels& labels, std::string_view key) {
  const auto label = labels.find(key);
  return label == labels.end() ? std::string_view() : std::string_view(label->second);
}

std::optional<int64_t> ParseNumber(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// As clients written in Go spell it.
bool IsTrue(std::string_view text) {
  static constexpr std::string_view kTrue[] = {"1", "t", "T", "true", "TRUE", "True"};
  return std::ranges::find(kTrue, text) != std::end(kTrue);
}

absl::StatusOr<bool> MayRestart(const Labels& labels, const std::optional<ProcessState>& task) {
  ASSIGN_OR_RETURN(const Policy policy, ParsePolicy(Find(labels, kPolicyLabel)));
  switch (policy.kind) {
    case Policy::Kind::kNo:
      return false;
    case Policy::Kind::kAlways:
      return true;
    case Policy::Kind::kUnlessStopped:
      return !IsTrue(Find(labels, kExplicitlyStoppedLabel));
    case Policy::Kind::kOnFailure:
      break;
  }
  const std::string_view count = Find(labels, kCountLabel);
  if (!count.empty() && !ParseNumber(count)) {
    return InvalidArgument("label {}: not a number: {:?}", kCountLabel, count);
  }
  if (!task || task->exit_status == 0) return false;
  return policy.max_restarts == 0 || RestartCount(labels) < policy.max_restarts;
}

}  // namespace

absl::StatusOr<Policy> ParsePolicy(std::string_view text) {
  if (text.empty() || text == "always") return Policy{};
  if (text == "no") return Policy{.kind = Policy::Kind::kNo};
  if (text == "unless-stopped") return Policy{.kind = Policy::Kind::kUnlessStopped};
  constexpr std::string_view kOnFailure = "on-failure";
  if (text.starts_with(kOnFailure)) {
    const std::string_view rest = text.substr(kOnFailure.size());
    if (rest.empty()) return Policy{.kind = Policy::Kind::kOnFailure};
    const auto limit = rest.front() == ':' ? ParseNumber(rest.substr(1)) : std::nullopt;
    if (limit && *limit >= 0) {
      return Policy{.kind = Policy::Kind::kOnFailure, .max_restarts = *limit};
    }
  }
  return InvalidArgument("restart policy {:?} is not supported", text);
}

bool IsWatched(const Labels& labels) {
  const std::string_view wanted = Find(labels, kStatusLabel);
  return wanted == "running" || wanted == "stopped";
}

absl::StatusOr<Action> Decide(const Labels& labels, const std::optional<ProcessState>& task) {
  if (!IsWatched(labels)) return Action::kLeave;
  if (Find(labels, kStatusLabel) == "stopped") {
    return task && task->status != Status::kStopped ? Action::kStop : Action::kLeave;
  }
  if (task && (task->status == Status::kRunning || task->status == Status::kPaused ||
               task->status == Status::kPausing)) {
    return Action::kLeave;
  }
  ASSIGN_OR_RETURN(const bool may, MayRestart(labels, task));
  return may ? Action::kStart : Action::kLeave;
}

absl::StatusOr<Action> DecideAgain(Labels labels) {
  labels.erase(std::string(kCountLabel));
  return Decide(labels, ProcessState{.status = Status::kStopped, .exit_status = 1});
}

int64_t RestartCount(const Labels& labels) {
  const int64_t count = ParseNumber(Find(labels, kCountLabel)).value_or(0);
  return std::clamp<int64_t>(count, 0, std::numeric_limits<int64_t>::max() - 1);
}

Stdio StdioFor(const Labels& labels, bool terminal) {
  std::string uri(Find(labels, kLogUriLabel));
  const std::string_view path = Find(labels, kLogPathLabel);
  if (uri.empty() && !path.empty()) uri = fmt::format("file://{}", path);
  if (uri.empty()) return {};
  // A terminal has one stream.
  return {.out = uri, .err = terminal ? std::string() : uri, .terminal = terminal};
}

}  // namespace gantry::runtime::restart
