// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/events/exchange.h"
#include "core/runtime/task_env.h"

namespace gantry::runtime {

// Learns from what a shim announces about its tasks. False for an exit that was announced before:
// it must not be passed on.
bool AdmitEvent(TaskEnv& env, const events::Envelope& envelope);

}  // namespace gantry::runtime
