// SPDX-License-Identifier: Apache-2.0
#include "core/process/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/time/clock.h"
#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/kernel/file.h"

namespace gantry::process {
namespace {

constexpr mode_t kMode = 0600;
constexpr absl::Duration kPoll = absl::Milliseconds(20);
constexpr size_t kMaxPidBytes = 32;

std::string HolderOf(const std::string& path) {
  const auto pid = kernel::ReadFile(path, kMaxPidBytes);
  return pid.ok() && !pid->empty() ? *pid : "unknown";
}

}  // namespace

absl::StatusOr<FolderLock> FolderLock::Take(const std::filesystem::path& folder,
                                            absl::Duration patience) {
  const std::string path = folder / "gantryd.lock";
  ASSIGN_OR_RETURN(kernel::UniqueFd file,
                   ToStatusOr(kernel::Open(path, O_RDWR | O_CREAT | O_NOFOLLOW, kMode)));
  const absl::Time deadline = absl::Now() + patience;
  while (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return FromErrno(errno, fmt::format("lock {}", path));
    if (absl::Now() >= deadline) {
      return FailedPrecondition("{} is in use by another daemon (pid {})", folder.string(),
                                HolderOf(path));
    }
    absl::SleepFor(kPoll);
  }
  const std::string pid = fmt::to_string(::getpid());
  if (::ftruncate(file.get(), 0) != 0) return FromErrno(errno, fmt::format("truncate {}", path));
  RETURN_IF_ERROR(ToStatus(kernel::WriteAll(file.get(), pid, path)));
  return FolderLock(std::move(file));
}

}  // namespace gantry::process
