// SPDX-License-Identifier: Apache-2.0
#include "shim/runtime/memory_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <utility>

#include "core/kernel/file.h"

namespace gantry::shim {

kernel::Result<MemoryFile> MemoryFile::Create(const char* name, std::string_view content) {
  kernel::UniqueFd fd(::memfd_create(name, MFD_CLOEXEC));
  if (!fd) return kernel::LastError(std::string("memory for ") + name);
  if (auto written = kernel::WriteAll(fd.get(), content, name); !written) return written.error();
  return MemoryFile(std::move(fd));
}

std::string MemoryFile::path() const {
  return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd_.get());
}

}  // namespace gantry::shim
