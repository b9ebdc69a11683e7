// SPDX-License-Identifier: Apache-2.0
#include "shim/runtime/runtime_image.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string_view>

#include "core/kernel/file.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U  // linux/memfd.h, since 6.3
#endif

namespace gantry::shim {
namespace {

// Programs that protect themselves name the variable by which they know their copy.
constexpr std::string_view kProtectsItself = "_LIBCONTAINER_CLONED_BINARY";
// Exactly these are what they look for.
constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

kernel::UniqueFd MemoryForPrograms(const char* name) {
  constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  kernel::UniqueFd fd(::memfd_create(name, kFlags | MFD_EXEC));
  if (!fd && errno == EINVAL) fd = kernel::UniqueFd(::memfd_create(name, kFlags));
  return fd;
}

kernel::UniqueFd CopyOf(const std::string& binary) {
  const auto content = kernel::ReadFile(binary, RuntimeImage::kMaxBytes);
  if (!content || !content->starts_with("\177ELF") ||
      content->find(kProtectsItself) == content->npos)
    return {};
  kernel::UniqueFd copy = MemoryForPrograms(binary.c_str() + binary.rfind('/') + 1);
  if (!copy || !kernel::WriteAll(copy.get(), *content, binary) ||
      ::fcntl(copy.get(), F_ADD_SEALS, kSeals) != 0)
    return {};
  return copy;
}

}  // namespace

std::string RuntimeImage::PathOf(const std::string& binary) {
  struct stat status {};
  if (::stat(binary.c_str(), &status) != 0) return binary;
  const Identity identity{
      .device = status.st_dev,
      .inode = status.st_ino,
      .size = status.st_size,
      .changed = int64_t{status.st_ctim.tv_sec} * 1'000'000'000 + status.st_ctim.tv_nsec};
  if (seen_ != identity) {
    seen_ = identity;
    copy_ = S_ISREG(status.st_mode) && static_cast<size_t>(status.st_size) <= kMaxBytes
                ? CopyOf(binary)
                : kernel::UniqueFd();
  }
  if (!copy_) return binary;
  return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(copy_.get());
}

void RuntimeImage::Drop() {
  if (copy_) seen_.reset();
  copy_.Reset();
}

}  // namespace gantry::shim
