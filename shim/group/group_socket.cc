// SPDX-License-Identifier: Apache-2.0
#include "shim/group/group_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/kernel/file.h"
#include "core/kernel/unique_fd.h"
#include "shim/group/sha256.h"

namespace gantry::shim {
namespace {

constexpr int kConnectLimitMs = 100;
constexpr long kLockPauseNs = 5'000'000;
constexpr int kLockTries = 200;
constexpr int kPatientlyEnough = 20;  // for what may as well be left
constexpr size_t kKeptHashLength = 48;
constexpr size_t kTagHashLength = 14;

// Serialises those who would replace a dead server's socket, so that none takes away what another
// has just put there. Empty when that takes too long.
kernel::UniqueFd LockDirectoryOf(const std::string& path, int tries) {
  auto directory =
      kernel::Open(path.substr(0, path.rfind('/') + 1), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (!directory) return {};
  for (int i = 0; i < tries; ++i) {
    if (::flock(directory->get(), LOCK_EX | LOCK_NB) == 0) return *std::move(directory);
    const timespec pause{.tv_sec = 0, .tv_nsec = kLockPauseNs};
    ::nanosleep(&pause, nullptr);
  }
  return {};
}

bool IsSocket(const std::string& path) {
  struct stat found {};
  return ::lstat(path.c_str(), &found) == 0 && S_ISSOCK(found.st_mode);
}

}  // namespace

bool IsServed(const std::string& path) {
  const kernel::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return true;  // who cannot look must not take it for dead
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return false;
  std::memcpy(address.sun_path, path.data(), path.size());
  for (int waited_ms = 0; waited_ms < kConnectLimitMs; waited_ms += 5) {
    if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
      return true;
    }
    if (errno == ECONNREFUSED || errno == ENOENT) return false;
    if (errno != EAGAIN && errno != EINTR) return true;
    ::poll(nullptr, 0, 5);
  }
  return true;
}

std::string NameBeside(const std::string& path, const std::string& tag) {
  return path.substr(0, path.rfind('/') + 1 + kKeptHashLength) + "." + tag;
}

std::string DaemonTag(const std::string& id) {
  return "d" + Sha256Hex(id).substr(0, kTagHashLength);
}

kernel::Result<bool> TakeName(ListeningSocket& socket, const std::string& path) {
  auto moved = socket.MoveTo(path);
  if (moved) return true;
  if (moved.error().err != EEXIST) return moved.error();
  // Without the lock we are as well off as shims that know none.
  const kernel::UniqueFd lock = LockDirectoryOf(path, kLockTries);
  if (IsServed(path)) return false;
  ::unlink(path.c_str());
  moved = socket.MoveTo(path);
  if (moved) return true;
  // Another may have come between, since the first step takes no lock.
  if (moved.error().err == EEXIST && IsServed(path)) return false;
  return moved.error();
}

void RemoveDeadSocket(const std::string& path, const std::string& id) {
  const std::string beside = NameBeside(path, DaemonTag(id));
  if (IsSocket(beside)) ::unlink(beside.c_str());
  if (!IsSocket(path) || IsServed(path)) return;
  const kernel::UniqueFd lock = LockDirectoryOf(path, kPatientlyEnough);
  if (lock && !IsServed(path)) ::unlink(path.c_str());
}

}  // namespace gantry::shim
