// SPDX-License-Identifier: Apache-2.0
#include "shim/task/phase.h"

#include <array>
#include <string_view>

namespace gantry::shim {
namespace {

using Phases = uint8_t;
constexpr Phases In(Phase phase) { return static_cast<Phases>(1U << static_cast<unsigned>(phase)); }

constexpr Phases kCreated = In(Phase::kCreated);
constexpr Phases kRunning = In(Phase::kRunning);
constexpr Phases kPaused = In(Phase::kPaused) | In(Phase::kPausing);
constexpr Phases kStopped = In(Phase::kStopped);

struct Rule {
  std::string_view verb;
  Phases init;  // in which the verb is allowed to an init process
};

// In the order of Verb.
constexpr std::array<Rule, 8> kRules = {{
    {"start", kCreated},
    {"pause", kRunning},
    {"resume", In(Phase::kPaused)},
    {"kill", kCreated | kRunning | kPaused | kStopped},
    {"exec in", kCreated | kRunning},
    {"update", kCreated | kRunning | kPaused},
    {"checkpoint", kRunning | kPaused},
    {"delete", kCreated | kStopped},
}};

constexpr std::array<std::string_view, 6> kPhaseNames = {"created", "running", "pausing",
                                                         "paused",  "stopped", "deleted"};

std::string Refusal(Verb verb, Phase phase, std::string_view what) {
  std::string text = "cannot ";
  text.append(kRules.at(static_cast<size_t>(verb)).verb).append(" a ");
  text.append(kPhaseNames.at(static_cast<size_t>(phase))).append(" ").append(what);
  return text;
}

}  // namespace

std::optional<std::string> RefuseInit(Verb verb, Phase phase, Origin origin) {
  const bool unborn =
      verb == Verb::kExec && origin == Origin::kCheckpoint && phase == Phase::kCreated;
  if (!unborn && (kRules.at(static_cast<size_t>(verb)).init & In(phase)) != 0) return std::nullopt;
  return Refusal(verb, phase,
                 verb == Verb::kStart || verb == Verb::kDelete ? "process" : "container");
}

std::optional<std::string> RefuseExec(Verb verb, Phase phase) {
  const Phases allowed = verb == Verb::kStart ? kCreated : Phases{kCreated | kStopped};
  if ((allowed & In(phase)) != 0) return std::nullopt;
  return Refusal(verb, phase, "process");
}

}  // namespace gantry::shim
