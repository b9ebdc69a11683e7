// SPDX-License-Identifier: Apache-2.0
#include "shim/launch/main.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/kernel/file.h"
#include "shim/events/publisher.h"
#include "shim/group/connected_start.h"
#include "shim/launch/delete.h"
#include "shim/launch/flags.h"
#include "shim/launch/info.h"
#include "shim/launch/server_process.h"
#include "shim/launch/start.h"
#include "shim/launch/start_input.h"
#include "shim/messages/identifier.h"
#include "shim/server/listening_socket.h"

namespace gantry::shim {
namespace {

constexpr int kFailure = 1;
constexpr int kWrongUsage = 2;

void Print(int fd, std::string_view text) {
  kernel::WriteAll(fd, text, "output").Ignore();  // whoever asked has gone
}

int Fail(const std::string& text) {
  Print(STDERR_FILENO, text + "\n");
  return kFailure;
}

int ExitCode(const kernel::Result<void>& result) {
  return result ? EXIT_SUCCESS : Fail(result.error().Text());
}

// What is wrong with the flags for an action.
std::optional<std::string> Complaint(const Flags& flags) {
  if (flags.ns.empty()) return "-namespace is missing";
  if (!IsIdentifier(flags.ns)) return "-namespace " + flags.ns + " is no identifier";
  // A server that is executed may learn its containers later.
  if (flags.id.empty() && !flags.action.empty()) return "-id is missing";
  if (!flags.id.empty() && !IsIdentifier(flags.id)) return "-id " + flags.id + " is no identifier";
  return std::nullopt;
}

int RunStart(Flags flags, int argc, char** argv, const Program& program) {
  auto input = ReadInput(STDIN_FILENO);
  if (!input) return Fail(input.error().Text());
  return ExitCode(StartShim({.flags = std::move(flags),
                             .input = *std::move(input),
                             .output = STDOUT_FILENO,
                             .argc = argc,
                             .argv = argv},
                            program));
}

int RunDelete(Flags flags, const Program& program) {
  return ExitCode(DeleteContainer(
      {.flags = std::move(flags),
       .output = STDOUT_FILENO,
       .socket_directory = program.socket_directory,
       .warn = [](const std::string& text) { Print(STDERR_FILENO, text + "\n"); }}));
}

// What a server is given to begin with.
struct Beginning {
  kernel::Result<ListeningSocket> socket;
  kernel::UniqueFd connection;
};

// Whatever else was inherited, such as a listener for debugging, is not served.
Beginning TakeSockets(const Flags& flags) {
  const char* variable = std::getenv(kSocketVariable);
  if (!flags.socket.empty()) {
    ::close_range(kListenerFd, ~0U, 0);
    return {.socket = ListeningSocket::Bind(flags.socket), .connection = {}};
  }
  const std::string name = variable != nullptr ? variable : "";
  const bool connected = !name.empty();
  ::unsetenv(kSocketVariable);
  ::close_range(connected ? kConnectionFd + 1 : kConnectionFd, ~0U, 0);
  if (connected) ::fcntl(kConnectionFd, F_SETFD, FD_CLOEXEC);
  return {.socket = ListeningSocket::Adopt(kernel::UniqueFd(kListenerFd), name),
          .connection = kernel::UniqueFd(connected ? kConnectionFd : -1)};
}

int RunServer(const Flags& flags, const Program& program) {
  if (flags.socket.size() > kMaxSocketPath) {
    return Fail("-socket " + flags.socket + " is too long for a socket");
  }
  auto [socket, connection] = TakeSockets(flags);
  if (!socket) return Fail(socket.error().Text());
  if (auto prepared = PrepareServer(); !prepared) return Fail(prepared.error().Text());
  const char* events = std::getenv("TTRPC_ADDRESS");
  ServerSettings settings{.ns = flags.ns,
                          .id = flags.id,
                          .grpc_address = flags.address,
                          .publish_binary = flags.publish_binary,
                          .debug = flags.debug};
  settings.events_address = ChooseEventsAddress("", events != nullptr ? events : "", flags.address);
  return program.serve({.socket = *std::move(socket),
                        .settings = std::move(settings),
                        .connection = std::move(connection)});
}

int RunInfo(std::string_view binary, const Program& program) {
  const auto input = ReadInput(STDIN_FILENO);
  if (!input) return Fail(input.error().Text());
  const auto info = DescribeRuntime(binary, *input, program);
  if (!info) return Fail(info.error().Text());
  Print(STDOUT_FILENO, *info);
  return EXIT_SUCCESS;
}

}  // namespace

int Main(int argc, char** argv, const Program& program) {
  const std::string binary = argc > 0 ? argv[0] : "";
  auto flags = ParseFlags(std::vector<std::string_view>(argv + (argc > 0 ? 1 : 0), argv + argc));
  if (!flags) {
    Print(STDERR_FILENO, flags.error().what + "\nUsage of " + binary + ":\n" + FlagUsage());
    return kWrongUsage;
  }
  if (flags->version) {
    Print(STDOUT_FILENO, DescribeVersion(binary, program));
    return EXIT_SUCCESS;
  }
  if (flags->info) return RunInfo(binary, program);
  if (const auto complaint = Complaint(*flags)) return Fail(*complaint);
  if (flags->action == "start") return RunStart(*std::move(flags), argc, argv, program);
  if (flags->action == "delete") return RunDelete(*std::move(flags), program);
  if (flags->action.empty()) return RunServer(*flags, program);
  return Fail("no such action: " + flags->action);
}

}  // namespace gantry::shim
