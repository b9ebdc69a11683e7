// SPDX-License-Identifier: Apache-2.0
// Where a process is in its life, and what may be done to it there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace gantry::shim {

enum class Phase : uint8_t { kCreated, kRunning, kPausing, kPaused, kStopped, kDeleted };
// A container to be restored from a checkpoint has no process before its start.
enum class Origin : uint8_t { kFresh, kCheckpoint };

enum class Verb : uint8_t { kStart, kPause, kResume, kKill, kExec, kUpdate, kCheckpoint, kDelete };

// Nothing if the verb is allowed to an init process in that phase, else an error text.
std::optional<std::string> RefuseInit(Verb verb, Phase phase, Origin origin);
// The same for an exec, for start and delete.
std::optional<std::string> RefuseExec(Verb verb, Phase phase);

}  // namespace gantry::shim
