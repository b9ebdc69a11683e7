// SPDX-License-Identifier: Apache-2.0
#include "shim/launch/server_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "core/kernel/file.h"
#include "core/kernel/unique_fd.h"
#include "shim/launch/process_title.h"

namespace gantry::shim {
namespace {

constexpr int kReadyLimitMs = 5000;
constexpr size_t kMaxReportBytes = 4096;
constexpr int kSocketFd = 3;
constexpr int kReportFd = 4;

struct Birth {
  const ServerProcessOptions& options;
  const Serve& serve;
  int report;  // gets "+", or what failed
};

// The socket and the report at their numbers, /dev/null at the standard ones, nothing else.
kernel::Result<void> KeepFds(int socket, int report) {
  const int beyond = kReportFd + 1;
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return kernel::LastError("open /dev/null");
  const int high_socket = ::fcntl(socket, F_DUPFD_CLOEXEC, beyond);
  const int high_report = ::fcntl(report, F_DUPFD_CLOEXEC, beyond);
  const int high_null = ::fcntl(null, F_DUPFD_CLOEXEC, beyond);
  if (high_socket < 0 || high_report < 0 || high_null < 0) return kernel::LastError("duplicate fd");
  for (const int stream : {0, 1, 2}) {
    if (::dup2(high_null, stream) < 0) return kernel::LastError("dup2");
  }
  if (::dup3(high_socket, kSocketFd, O_CLOEXEC) < 0 ||
      ::dup3(high_report, kReportFd, O_CLOEXEC) < 0 || ::close_range(beyond, ~0U, 0) != 0) {
    return kernel::LastError("place fds");
  }
  return {};
}

// As shims of other makes look when they execute themselves: it is what operators look for.
std::vector<std::string> Title(const ServerProcessOptions& options) {
  std::vector<std::string> title = {
      options.argv[0],     "-namespace", options.settings.ns,          "-id",
      options.settings.id, "-address",   options.settings.grpc_address};
  if (options.settings.debug) title.emplace_back("-debug");
  return title;
}

kernel::Result<ListeningSocket> Settle(const Birth& birth) {
  if (::setsid() < 0) return kernel::LastError("setsid");
  if (auto kept = KeepFds(birth.options.socket->fd(), birth.report); !kept) return kept.error();
  if (auto prepared = PrepareServer(); !prepared) return prepared.error();
  SetProcessTitle(birth.options.argc, birth.options.argv, Title(birth.options));
  auto socket = ListeningSocket::Adopt(kernel::UniqueFd(kSocketFd));
  if (socket) socket->MovedTo(birth.options.final_path);
  return socket;
}

int ServerMain(void* argument) {
  const Birth birth = *static_cast<Birth*>(argument);
  auto socket = Settle(birth);
  // Where fds could not be placed, the report is still at its old number.
  const int report = socket ? kReportFd : birth.report;
  if (!socket) {
    kernel::WriteAll(report, socket.error().Text().substr(0, kMaxReportBytes), "report").Ignore();
    return 1;
  }
  if (!kernel::WriteAll(report, "+", "report")) return 1;  // nobody waits any more
  // Until the socket has its name nobody could find us, should our maker be killed.
  char word = 0;
  if (::read(report, &word, 1) != 1) return 1;
  ::close(report);
  return birth.serve(
      {.socket = *std::move(socket), .settings = birth.options.settings, .connection = {}});
}

kernel::Result<void> AwaitReport(int fd) {
  pollfd readable{.fd = fd, .events = POLLIN, .revents = 0};
  int ready;
  do {
    ready = ::poll(&readable, 1, kReadyLimitMs);
  } while (ready < 0 && errno == EINTR);
  if (ready <= 0) return kernel::Error{ETIMEDOUT, "start the server process"};
  std::array<char, kMaxReportBytes> report;
  const ssize_t count = ::read(fd, report.data(), report.size());
  if (count == 1) return {};
  std::string what = "start the server process";
  if (count > 0) what += ": " + std::string(report.data(), static_cast<size_t>(count));
  return kernel::Error{EIO, std::move(what)};
}

}  // namespace

kernel::Result<void> PrepareServer() {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) return kernel::LastError("be a subreaper");
  if (::signal(SIGPIPE, SIG_IGN) == SIG_ERR) return kernel::LastError("ignore SIGPIPE");
  return {};
}

kernel::Result<void> StartedServer::Go() {
  return kernel::WriteAll(word.get(), "+", "word to serve");
}

kernel::Result<StartedServer> StartServerProcess(const ServerProcessOptions& options,
                                                 const Serve& serve) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return kernel::LastError("socketpair");
  }
  kernel::UniqueFd ours(ends[0]);
  kernel::UniqueFd theirs(ends[1]);
  Birth birth{.options = options, .serve = serve, .report = theirs.get()};
  auto process = kernel::Subprocess::Fork(0, ServerMain, &birth);
  if (!process) return process.error();
  theirs.Reset();
  if (auto ready = AwaitReport(ours.get()); !ready) return ready.error();
  return StartedServer{.process = *std::move(process), .word = std::move(ours)};
}

}  // namespace gantry::shim
