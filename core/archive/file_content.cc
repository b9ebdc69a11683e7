// SPDX-License-Identifier: Apache-2.0
#include "core/archive/file_content.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "core/archive/attributes.h"
#include "core/base/status.h"

namespace gantry::archive {
namespace {

absl::Status WriteAll(int fd, std::string_view bytes, std::string_view name) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ApplyError(errno, "write", name);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

absl::Status WriteSparse(const Context& ctx, const Entry& entry, TarReader& archive, int fd) {
  // The length first: runs of no bytes and holes at the end need no writing then.
  if (::ftruncate(fd, static_cast<off_t>(entry.size)) != 0) {
    return ApplyError(errno, "extend", entry.name);
  }
  std::string_view piece;
  for (const SparseRun& run : entry.runs) {
    if (run.size == 0) continue;
    if (::lseek(fd, static_cast<off_t>(run.offset), SEEK_SET) < 0) {
      return ApplyError(errno, "seek in", entry.name);
    }
    for (uint64_t left = run.size; left > 0;) {
      RETURN_IF_ERROR(ctx.Check());
      if (piece.empty()) {
        ASSIGN_OR_RETURN(piece, archive.ReadContent());
      }
      const std::string_view part =
          piece.substr(0, static_cast<size_t>(std::min<uint64_t>(left, piece.size())));
      RETURN_IF_ERROR(WriteAll(fd, part, entry.name));
      piece.remove_prefix(part.size());
      left -= part.size();
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteContent(const Context& ctx, const Entry& entry, TarReader& archive, int fd) {
  if (entry.sparse) return WriteSparse(ctx, entry, archive, fd);
  for (;;) {
    ASSIGN_OR_RETURN(const std::string_view piece, archive.ReadContent());
    if (piece.empty()) return absl::OkStatus();
    RETURN_IF_ERROR(ctx.Check());
    RETURN_IF_ERROR(WriteAll(fd, piece, entry.name));
  }
}

absl::Status CopyContent(const Context& ctx, int from, int to, std::string_view name) {
  constexpr size_t kPiece = size_t{1} << 24;
  bool in_kernel = true;
  std::string buffer;
  for (;;) {
    RETURN_IF_ERROR(ctx.Check());
    if (in_kernel) {
      const ssize_t count = ::copy_file_range(from, nullptr, to, nullptr, kPiece, 0);
      if (count == 0) return absl::OkStatus();
      if (count > 0) continue;
      if (errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP && errno != ENOSYS) {
        return ApplyError(errno, "copy", name);
      }
      in_kernel = false;
      buffer.resize(size_t{1} << 18);
    }
    const ssize_t count = ::read(from, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ApplyError(errno, "read", name);
    if (count == 0) return absl::OkStatus();
    RETURN_IF_ERROR(WriteAll(to, {buffer.data(), static_cast<size_t>(count)}, name));
  }
}

}  // namespace gantry::archive
