// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/plugin/plugin.h"

namespace gantry {

// The collector over every kind of object of this binary, and its scheduler, as plugin scheduler.
plugin::Registration CollectionPlugin();

}  // namespace gantry
