// SPDX-License-Identifier: Apache-2.0
// The strings that name streams which a client takes from the shim's own socket:
// ttrpc+unix://SOCKET?streaming_id=ID.
#pragma once

#include <string>

#include "core/kernel/result.h"

namespace gantry::shim {

bool IsStreamUri(const std::string& text);

// The id in such a text; empty for an empty one. EINVAL: "unknown STDIO scheme X" for other texts,
// or there is no id in it.
kernel::Result<std::string> StreamId(const std::string& text);

}  // namespace gantry::shim
