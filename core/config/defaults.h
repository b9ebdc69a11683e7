// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/config/value.h"

namespace gantry::config {

// What counts where no file says otherwise, as a version 4 tree without plugin sections: those have
// their defaults from their plugins.
Table DefaultTable();

}  // namespace gantry::config
