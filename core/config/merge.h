// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/config/value.h"

namespace gantry::config {

// Lays a later file over an earlier one, both version 4:
//   top-level scalars          the later one counts unless it is false, 0 or ""
//   top-level lists            union, no value twice
//   plugins                    merged table by table; any value, lists too, replaces
//   proxy_plugins, timeouts,
//   stream_processors          an entry of the later file replaces that of the earlier
//   other tables               as the top level
void Merge(Table& earlier, Table&& later);

}  // namespace gantry::config
