// SPDX-License-Identifier: Apache-2.0
// A shim whose server tells each peer how it was started, line by line, and ends at a byte from one
// that it has accepted.
// FAKE_SOCKET_DIRECTORY is where it makes its socket. A cgroup is a directory with a file
// cgroup.procs.
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <string>
#include <utility>

#include "core/kernel/file.h"
#include "core/kernel/unique_fd.h"
#include "shim/group/connected_start.h"
#include "shim/launch/main.h"

namespace {

namespace kernel = gantry::kernel;
using gantry::shim::Program;
using gantry::shim::ServeOptions;

std::string Describe(const ServeOptions& options) {
  char directory[PATH_MAX];
  const char* here = ::getcwd(directory, sizeof(directory));
  int subreaper = 0;
  ::prctl(PR_GET_CHILD_SUBREAPER, &subreaper);
  return "pid=" + std::to_string(::getpid()) + "\nns=" + options.settings.ns +
         "\nid=" + options.settings.id + "\ngrpc=" + options.settings.grpc_address +
         "\nevents=" + options.settings.events_address +
         "\npublish=" + options.settings.publish_binary +
         "\ndebug=" + (options.settings.debug ? "1" : "0") + "\npath=" + options.socket.path() +
         "\nvariable=" + (std::getenv(gantry::shim::kSocketVariable) != nullptr ? "set" : "") +
         "\ncwd=" + (here != nullptr ? here : "") + "\nsubreaper=" + std::to_string(subreaper) +
         "\n";
}

int Serve(ServeOptions options) {
  if (options.connection) {
    kernel::WriteAll(options.connection.get(), Describe(options), "first peer").Ignore();
  }
  while (true) {
    pollfd readable{.fd = options.socket.fd(), .events = POLLIN, .revents = 0};
    ::poll(&readable, 1, -1);
    const kernel::UniqueFd peer(::accept4(options.socket.fd(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!peer || !kernel::WriteAll(peer.get(), Describe(options), "peer")) continue;
    char byte = 0;
    if (::read(peer.get(), &byte, 1) == 1) return 0;
  }
}

kernel::Result<void> JoinCgroup(const std::string& cgroup, pid_t pid) {
  return kernel::WriteControlFile(cgroup + "/cgroup.procs", std::to_string(pid));
}

}  // namespace

int main(int argc, char** argv) {
  Program program{
      .version = "1.2.3", .revision = "abcdef", .serve = Serve, .join_cgroup = JoinCgroup};
  if (const char* directory = std::getenv("FAKE_SOCKET_DIRECTORY")) {
    program.socket_directory = directory;
  }
  return gantry::shim::Main(argc, argv, program);
}
