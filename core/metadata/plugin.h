// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/clock.h"
#include "core/plugin/plugin.h"

namespace gantry::metadata {

// The database as plugin bolt: clients know it by that name. `clock` outlives it.
plugin::Registration StorePlugin(const base::Clock& clock);

}  // namespace gantry::metadata
