// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/events/exchange.h"
#include "core/runtime/task_env.h"

namespace gantry::runtime {

// Learns from what a shim announces about its tasks. An exit that was announced before must not be
// passed on; another is noted in the bundle once it has been.
events::Exchange::Admission AdmitEvent(TaskEnv& env, const events::Envelope& envelope);

}  // namespace gantry::runtime
