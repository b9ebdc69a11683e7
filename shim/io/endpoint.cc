// SPDX-License-Identifier: Apache-2.0
#include "shim/io/endpoint.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include "core/kernel/file.h"
#include "shim/loop/wait.h"

namespace gantry::shim {
namespace {

// A reader that waits in open(2) is told to nobody, inotify included, before a writer has come; so
// one has to try. Most clients are there at the first try, or within milliseconds.
constexpr std::chrono::milliseconds kFirstRetry{1};
constexpr std::chrono::milliseconds kLastRetry{50};

// A path that has been looked up once: whatever takes its place later is not opened.
struct Located {
  kernel::UniqueFd handle;
  std::string path;
  mode_t type = 0;  // S_IF… bits

  kernel::Result<kernel::UniqueFd> Open(int flags) const {
    auto fd = kernel::Open("/proc/self/fd/" + std::to_string(handle.get()), flags);
    if (!fd) return kernel::Error{fd.error().err, "open " + path};
    return fd;
  }
};

kernel::Result<Located> Locate(const std::string& path) {
  auto handle = kernel::Open(path, O_PATH);
  if (!handle) return handle.error();
  struct stat info {};
  if (::fstat(handle->get(), &info) != 0) return kernel::LastError("stat " + path);
  return Located{.handle = *std::move(handle), .path = path, .type = info.st_mode & S_IFMT};
}

kernel::Result<Endpoint> WithKeeper(kernel::UniqueFd fd, kernel::Result<kernel::UniqueFd> keeper) {
  if (!keeper) return keeper.error();
  Endpoint endpoint = MakeEndpoint(std::move(fd), EndKind::kPipe);
  endpoint.keeper = *std::move(keeper);
  return endpoint;
}

}  // namespace

Endpoint MakeEndpoint(kernel::UniqueFd fd, EndKind kind) {
  Endpoint endpoint;
  endpoint.fd = std::make_shared<kernel::UniqueFd>(std::move(fd));
  endpoint.kind = kind;
  return endpoint;
}

Endpoint MakeLogEnd(std::shared_ptr<LogFile> file, OutputStream stream) {
  Endpoint endpoint;
  endpoint.kind = EndKind::kLog;
  endpoint.log = std::make_unique<LogStream>(std::move(file), stream);
  return endpoint;
}

Co<kernel::Result<Endpoint>> OpenOutput(IoContext& context, std::string path, Time deadline) {
  if (path.empty()) co_return Endpoint();
  auto located = Locate(path);
  if (!located) co_return located.error();
  if (located->type != S_IFIFO) {
    auto file = located->Open(O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY);
    if (!file) co_return file.error();
    co_return MakeEndpoint(*std::move(file), EndKind::kFile);
  }
  for (auto pause = kFirstRetry;; pause = std::min(pause * 2, kLastRetry)) {
    auto writer = located->Open(O_WRONLY | O_NONBLOCK);
    if (writer) co_return WithKeeper(*std::move(writer), located->Open(O_RDONLY | O_NONBLOCK));
    if (writer.error().err != ENXIO) co_return writer.error();
    const Time now = Clock::now();
    if (now >= deadline) co_return kernel::Error{ETIMEDOUT, "wait for a reader of " + path};
    co_await SleepUntil(context.loop, std::min(now + pause, deadline));
  }
}

kernel::Result<Endpoint> OpenInput(const std::string& path) {
  auto located = Locate(path);
  if (!located) return located.error();
  auto reader = located->Open(O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!reader) return reader.error();
  if (located->type != S_IFIFO) return MakeEndpoint(*std::move(reader), EndKind::kFile);
  return WithKeeper(*std::move(reader), located->Open(O_WRONLY | O_NONBLOCK));
}

kernel::Result<Pipe> MakePipe() {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) return kernel::LastError("pipe2");
  return Pipe{.read = kernel::UniqueFd(fds[0]), .write = kernel::UniqueFd(fds[1])};
}

kernel::Result<void> GiveTo(int fd, uid_t uid, gid_t gid) {
  // A shim without privileges may not even give itself what it has.
  if (uid == ::geteuid() && gid == ::getegid()) return {};
  if (::fchown(fd, uid, gid) != 0) return kernel::LastError("chown a pipe");
  return {};
}

kernel::Result<void> SetNonBlocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
    return kernel::LastError("set O_NONBLOCK");
  return {};
}

}  // namespace gantry::shim
