// SPDX-License-Identifier: Apache-2.0
// Whole files and directories by path. All fds are close-on-exec; interrupted calls are repeated.
#pragma once

#include <fcntl.h>
#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "core/kernel/result.h"
#include "core/kernel/unique_fd.h"

namespace gantry::kernel {

// open(2) and openat(2); `mode` matters with O_CREAT and O_TMPFILE alone.
Result<UniqueFd> Open(const std::string& path, int flags, mode_t mode = 0);
Result<UniqueFd> OpenAt(int dir, const std::string& path, int flags, mode_t mode = 0);

// Everything from the fd's position to its end. EFBIG when that is more than `max_bytes`.
Result<std::string> ReadAll(int fd, size_t max_bytes, const std::string& name);

// The content of the file. EFBIG when it is longer than `max_bytes`; meant for files whose size
// somebody else decides, in /proc too.
Result<std::string> ReadFile(const std::string& path, size_t max_bytes);

// Writes all of `data`, in as many calls as that takes.
Result<void> WriteAll(int fd, std::string_view data, const std::string& name);

// Writes `data` to an existing file in one call, as files of /proc, /sys and cgroups need.
Result<void> WriteControlFile(const std::string& path, std::string_view data);

// What WriteFileAtomic() forces to disk before it returns.
enum class Durability {
  kNone,              // a crash may lose the new content, never show half of it
  kFile,              // the content, but after a crash the old file may be back
  kFileAndDirectory,  // the content and its name
};

// Replaces the file, or makes it, so that readers see the old content or the new. `mode` is exact,
// not cut by the umask.
Result<void> WriteFileAtomic(const std::string& path, std::string_view data, mode_t mode,
                             Durability durability);

// Forces a directory's entries to disk: names made, renamed or removed in it before the call.
Result<void> SyncDirectory(const std::string& path);

// mkdir -p. Directories that exist keep their modes; `mode` is cut by the umask.
Result<void> MakeDirectories(const std::string& path, mode_t mode);

// `count` random bytes from the kernel, as lower-case hexadecimal text.
std::string RandomHex(size_t count);

}  // namespace gantry::kernel
