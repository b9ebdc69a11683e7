// SPDX-License-Identifier: Apache-2.0
#include "shim/runtime/command_log.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/kernel/file.h"

namespace gantry::shim {
namespace {

constexpr off_t kTailBytes = 64 << 10;

}  // namespace

kernel::Result<CommandLog> CommandLog::Create(const std::string& bundle) {
  kernel::UniqueFd memory(::memfd_create("runtime-log", MFD_CLOEXEC));
  if (memory) {
    const std::string path =
        "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(memory.get());
    return CommandLog(std::move(memory), path, {});
  }
  if (errno == EMFILE || errno == ENFILE) return kernel::LastError("memory for the runtime's log");
  std::string file = bundle + "/log-" + kernel::RandomHex(8) + ".json";
  auto fd = kernel::Open(file, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (!fd) return fd.error();
  return CommandLog(*std::move(fd), file, file);
}

CommandLog::~CommandLog() {
  if (fd_ && !file_.empty()) ::unlink(file_.c_str());
}

std::string CommandLog::Tail() const {
  struct stat info {};
  if (::fstat(fd_.get(), &info) != 0) return {};
  const off_t start = std::max<off_t>(0, info.st_size - kTailBytes);
  std::string text(static_cast<size_t>(info.st_size - start), '\0');
  const ssize_t count = ::pread(fd_.get(), text.data(), text.size(), start);
  text.resize(static_cast<size_t>(std::max<ssize_t>(count, 0)));
  return text;
}

}  // namespace gantry::shim
