// SPDX-License-Identifier: Apache-2.0
#include "snapshotters/native/copy_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <vector>

#include "core/kernel/file.h"

namespace gantry::native {
namespace {

using kernel::Error;
using kernel::LastError;
using kernel::Result;

// Whether copy_file_range(2) may be replaced by reading and writing.
bool CannotCopyInKernel(int error) {
  return error == EXDEV || error == EINVAL || error == EOPNOTSUPP || error == ENOSYS ||
         error == EPERM;
}

// What is copied between two questions whether it is still wanted.
constexpr off_t kPieceBytes = off_t{64} << 20;

Result<void> CopyByHand(int from, int to, off_t offset, off_t end) {
  std::array<char, 64 << 10> buffer;
  while (offset < end) {
    const auto want = std::min<size_t>(buffer.size(), static_cast<size_t>(end - offset));
    const ssize_t got = ::pread(from, buffer.data(), want, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return LastError("read");
    if (got == 0) return {};  // Shorter than it was.
    for (ssize_t done = 0; done < got;) {
      const ssize_t put =
          ::pwrite(to, buffer.data() + done, static_cast<size_t>(got - done), offset + done);
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return LastError("write");
      done += put;
    }
    offset += got;
  }
  return {};
}

Result<void> CopyRange(int from, int to, off_t offset, off_t end) {
  off_t out = offset;
  while (offset < end) {
    const ssize_t copied =
        ::copy_file_range(from, &offset, to, &out, static_cast<size_t>(end - offset), 0);
    if (copied < 0 && errno == EINTR) continue;
    if (copied < 0 && CannotCopyInKernel(errno)) return CopyByHand(from, to, offset, end);
    if (copied < 0) return LastError("copy");
    if (copied == 0) return {};
  }
  return {};
}

using List = ssize_t (*)(const char*, char*, size_t);
using Get = ssize_t (*)(const char*, const char*, void*, size_t);
using Set = int (*)(const char*, const char*, const void*, size_t, int);

// The kernel's limit for a list and for a value.
constexpr size_t kMaxXattr = 64 << 10;

}  // namespace

Result<void> CopyContent(int from, int to, off_t size, const kernel::GiveUp& give_up) {
  if (size == 0 || ::ioctl(to, FICLONE, from) == 0) return {};
  for (off_t offset = 0; offset < size;) {
    if (give_up && give_up()) return Error{ECANCELED, "copy"};
    const off_t data = ::lseek(from, offset, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;  // Nothing but a hole is left.
    // A file system without holes says that all is data.
    const off_t start = data < 0 ? offset : data;
    const off_t hole = data < 0 ? size : ::lseek(from, start, SEEK_HOLE);
    const off_t end = std::min({hole < 0 ? size : hole, size, start + kPieceBytes});
    if (auto copied = CopyRange(from, to, start, end); !copied) return copied;
    offset = end;
  }
  return ::ftruncate(to, size) == 0 ? Result<void>() : LastError("truncate");
}

void CopyAttributes(const std::string& from, const std::string& to, bool follow) {
  const List list = follow ? ::listxattr : ::llistxattr;
  const Get get = follow ? ::getxattr : ::lgetxattr;
  const Set set = follow ? ::setxattr : ::lsetxattr;
  if (list(from.c_str(), nullptr, 0) <= 0) return;
  std::vector<char> names(kMaxXattr);
  const ssize_t length = list(from.c_str(), names.data(), names.size());
  std::vector<char> value(kMaxXattr);
  for (ssize_t at = 0; at < length;) {
    const char* name = names.data() + at;
    at += static_cast<ssize_t>(std::string_view(name).size()) + 1;
    const ssize_t size = get(from.c_str(), name, value.data(), value.size());
    if (size >= 0) (void)set(to.c_str(), name, value.data(), static_cast<size_t>(size), 0);
  }
}

}  // namespace gantry::native
