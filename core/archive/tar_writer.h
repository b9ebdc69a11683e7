// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "core/archive/entry.h"
#include "core/base/stream.h"

namespace gantry::archive {

// Writes a tar archive: ustar headers, and a pax header before those that ustar cannot hold. Equal
// entries give equal bytes; they are the bytes that Go's archive/tar writes in its pax format for
// entries without user and group names.
//
// Takes of an entry: type (not kOther), name, link, mode (permission bits), uid, gid, size, whole
// seconds of mtime, device numbers, xattrs. Sparse entries are written in full.
//
// Errors: InvalidArgument for an entry that the format cannot hold, or content of another length
// than announced; errors of the sink pass through.
class TarWriter {
 public:
  // `sink` outlives the writer.
  explicit TarWriter(Writer& sink) : sink_(sink) {}

  // Ends the entry before, starts the next. Directories' names end in '/', others' do not.
  absl::Status WriteHeader(const Entry& entry);

  // Content of the entry, in order.
  absl::Status WriteContent(std::string_view bytes);

  // Ends the archive. Nothing may be written after.
  absl::Status Finish();

 private:
  absl::Status EndEntry();
  absl::Status Append(std::string_view bytes);
  absl::Status Flush();

  Writer& sink_;
  std::string buffer_;  // small pieces on their way to the sink
  uint64_t remaining_ = 0;
  size_t padding_ = 0;
};

}  // namespace gantry::archive
