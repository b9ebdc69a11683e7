// SPDX-License-Identifier: Apache-2.0
#include "core/db/errors.h"

#include <lmdb.h>

#include <cerrno>
#include <string>

#include "core/base/status.h"

namespace gantry::db {

absl::Status FromLmdb(int code, std::string_view what) {
  const std::string text = fmt::format("{}: {}", what, ::mdb_strerror(code));
  switch (code) {
    case MDB_MAP_FULL:
    case MDB_READERS_FULL:
    case MDB_TXN_FULL:
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
      return ResourceExhausted("{}", text);
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
      return DataLoss("{}", text);
    default:
      return Internal("{}", text);
  }
}

}  // namespace gantry::db
