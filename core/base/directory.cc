// SPDX-License-Identifier: Apache-2.0
#include "core/base/directory.h"

#include <system_error>

#include "core/base/status.h"

namespace gantry {

absl::Status ForEachEntry(
    const std::filesystem::path& directory,
    absl::FunctionRef<absl::Status(const std::filesystem::directory_entry&)> visit) {
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    RETURN_IF_ERROR(visit(*entry));
  }
  return error ? FromErrno(error.value(), "list " + directory.string()) : absl::OkStatus();
}

}  // namespace gantry
