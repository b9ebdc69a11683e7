// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/file.h"

#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace gantry::kernel {
namespace {

std::string ParentOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<void> Sync(int fd, const std::string& name) {
  while (::fsync(fd) != 0) {
    if (errno != EINTR) return LastError("fsync " + name);
  }
  return {};
}

Result<void> FillFile(int fd, std::string_view data, mode_t mode, bool sync,
                      const std::string& name) {
  // fchmod and not the mode of open(2), which the umask cuts.
  if (::fchmod(fd, mode) != 0) return LastError("chmod " + name);
  if (auto written = WriteAll(fd, data, name); !written) return written;
  return sync ? Sync(fd, name) : Result<void>();
}

}  // namespace

Result<UniqueFd> Open(const std::string& path, int flags, mode_t mode) {
  return OpenAt(AT_FDCWD, path, flags, mode);
}

Result<UniqueFd> OpenAt(int dir, const std::string& path, int flags, mode_t mode) {
  while (true) {
    UniqueFd fd(::openat(dir, path.c_str(), flags | O_CLOEXEC, mode));
    if (fd) return fd;
    if (errno != EINTR) return LastError("open " + path);
  }
}

Result<std::string> ReadAll(int fd, size_t max_bytes, const std::string& name) {
  constexpr size_t kStep = 16384;
  std::string text;
  size_t used = 0;
  while (true) {
    // One byte beyond the bound tells "exactly full" from "too long".
    if (used == text.size()) text.resize(std::min(used + std::max(used, kStep), max_bytes + 1));
    const ssize_t got = ::read(fd, text.data() + used, text.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return LastError("read " + name);
    if (got == 0) break;
    used += static_cast<size_t>(got);
    if (used > max_bytes) return Error{EFBIG, "read " + name};
  }
  return std::string(text, 0, used);  // of its own size: some are kept for long
}

Result<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  auto fd = Open(path, O_RDONLY);
  if (!fd) return fd.error();
  return ReadAll(fd->get(), max_bytes, path);
}

Result<void> WriteAll(int fd, std::string_view data, const std::string& name) {
  while (!data.empty()) {
    const ssize_t done = ::write(fd, data.data(), data.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return LastError("write " + name);
    data.remove_prefix(static_cast<size_t>(done));
  }
  return {};
}

Result<void> WriteControlFile(const std::string& path, std::string_view data) {
  auto fd = Open(path, O_WRONLY);
  if (!fd) return fd.error();
  while (true) {
    const ssize_t done = ::write(fd->get(), data.data(), data.size());
    if (done == static_cast<ssize_t>(data.size())) return {};
    if (done >= 0) return Error{EIO, "write " + path};
    if (errno != EINTR) return LastError("write " + path);
  }
}

Result<void> WriteFileAtomic(const std::string& path, std::string_view data, mode_t mode,
                             Durability durability) {
  const std::string parent = ParentOf(path);
  const std::string temp =
      parent + "/." + path.substr(path.find_last_of('/') + 1) + "." + RandomHex(6);
  auto fd = Open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (!fd) return fd.error();
  Result<void> filled = FillFile(fd->get(), data, mode, durability != Durability::kNone, temp);
  if (filled && ::rename(temp.c_str(), path.c_str()) != 0) filled = LastError("rename to " + path);
  if (!filled) {
    ::unlink(temp.c_str());
    return filled;
  }
  return durability == Durability::kFileAndDirectory ? SyncDirectory(parent) : Result<void>();
}

Result<void> SyncDirectory(const std::string& path) {
  auto fd = Open(path, O_RDONLY | O_DIRECTORY);
  if (!fd) return fd.error();
  return Sync(fd->get(), path);
}

Result<void> MakeDirectories(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0) return {};
  if (errno == ENOENT && path.find('/', 1) != std::string::npos) {
    if (auto made = MakeDirectories(ParentOf(path), mode); !made) return made;
    if (::mkdir(path.c_str(), mode) == 0) return {};
  }
  const int err = errno;
  struct stat info {};
  // Somebody else may have made it meanwhile, and "a/b/" names what "a/b" made.
  if (err == EEXIST && ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return {};
  return Error{err, "mkdir " + path};
}

std::string RandomHex(size_t count) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  while (text.size() < 2 * count) {
    std::array<unsigned char, 32> bytes{};
    const ssize_t got = ::getrandom(bytes.data(), bytes.size(), 0);
    for (ssize_t i = 0; i < got && text.size() < 2 * count; ++i) {
      text += kDigits[bytes[static_cast<size_t>(i)] >> 4];
      text += kDigits[bytes[static_cast<size_t>(i)] & 15];
    }
  }
  return text;
}

}  // namespace gantry::kernel
