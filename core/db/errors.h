// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace gantry::db {

// An LMDB or errno result as a status: ResourceExhausted for a full map, a full disk or too many
// readers, DataLoss for a damaged file, Internal otherwise (EIO, EROFS included).
absl::Status FromLmdb(int code, std::string_view what);

}  // namespace gantry::db
