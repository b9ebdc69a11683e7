// SPDX-License-Identifier: Apache-2.0
// Runs the fake shim in a bundle, as a daemon would, and ends all servers that came of it.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstring>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "core/kernel/command.h"
#include "core/kernel/file.h"
#include "core/kernel/subprocess.h"
#include "core/kernel/testing/matchers.h"
#include "core/kernel/tree.h"
#include "core/kernel/unique_fd.h"
#include "shim/messages/bootstrap.h"
#include "shim/messages/codec.h"

namespace gantry::shim::testing {

inline kernel::UniqueFd ConnectToServer(const std::string& path) {
  kernel::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    socket.Reset();
  }
  return socket;
}

class LaunchFixture : public ::testing::Test {
 protected:
  LaunchFixture() {
    // Servers come to us when their `start` has ended.
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    ::mkdir(sockets_.c_str(), 0700);
    ::setenv("FAKE_SOCKET_DIRECTORY", sockets_.c_str(), 1);
    ::unsetenv("TTRPC_ADDRESS");
    MakeBundle("c1");
  }
  ~LaunchFixture() override {
    for (const pid_t pid : Children()) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
    EXPECT_THAT(kernel::RunCommand({.program = "/bin/rm", .arguments = {"rm", "-rf", root_}}),
                gantry::testing::Succeeds());
  }

  std::string Bundle(const std::string& id) const { return root_ + "/" + id; }

  void MakeBundle(const std::string& id, const std::string& spec = "{}") {
    ::mkdir(Bundle(id).c_str(), 0700);
    Write(Bundle(id) + "/config.json", spec);
  }

  static void Write(const std::string& path, const std::string& text, mode_t mode = 0644) {
    EXPECT_THAT(kernel::WriteFileAtomic(path, text, mode, kernel::Durability::kNone),
                gantry::testing::Succeeds());
  }
  static std::string Read(const std::string& path) {
    const auto text = kernel::ReadFile(path, 1UL << 20);
    return text ? *text : "";
  }
  static bool Exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

  static std::string FakeShim() {
    std::array<char, PATH_MAX> self{};
    const ssize_t size = ::readlink("/proc/self/exe", self.data(), self.size());
    std::string path(self.data(), static_cast<size_t>(size));
    return path.substr(0, path.rfind('/')) + "/shim.launch_fake";
  }

  static std::vector<std::string> Arguments(const std::string& id, const std::string& action) {
    return {FakeShim(),        "-namespace", "k8s.io", "-address", "/run/d.sock",
            "-publish-binary", "/bin/d",     "-id",    id,         action};
  }

  kernel::CommandResult Run(std::vector<std::string> arguments, const std::string& directory,
                            const std::string& input = {}) {
    kernel::SpawnOptions options{.program = FakeShim(), .arguments = std::move(arguments)};
    options.directory = directory;
    auto ran = kernel::RunCommand(std::move(options), input);
    EXPECT_THAT(ran, gantry::testing::Succeeds());
    return ran ? *ran : kernel::CommandResult{.status = {.code = -1}, .output = {}, .errors = {}};
  }
  kernel::CommandResult StartIn(const std::string& id, const std::string& input = {}) {
    return Run(Arguments(id, "start"), Bundle(id), input);
  }

  static messages::BootstrapParams Params(const std::string& id) {
    messages::BootstrapParams params;
    params.instance_id = id;
    params.ns = "k8s.io";
    return params;
  }

  // What the server behind an address tells of itself; nothing when there is none.
  std::map<std::string, std::string> Ask(const std::string& address) {
    std::map<std::string, std::string> facts;
    EXPECT_EQ(address.substr(0, 7), "unix://");
    const kernel::UniqueFd peer = ConnectToServer(address.substr(7));
    if (!peer) return facts;
    ::shutdown(peer.get(), SHUT_WR);
    const auto text = kernel::ReadAll(peer.get(), 65536, "server");
    std::istringstream lines(text ? *text : "");
    for (std::string line; std::getline(lines, line);) {
      const size_t equals = line.find('=');
      facts[line.substr(0, equals)] = line.substr(equals + 1);
    }
    return facts;
  }
  pid_t PidOf(const std::string& address) {
    const auto facts = Ask(address);
    const auto pid = facts.find("pid");
    return pid == facts.end() ? 0 : std::stoi(pid->second);
  }

  // The servers that are ours by now.
  static std::vector<pid_t> Children() {
    std::istringstream text(Read("/proc/self/task/" + std::to_string(::getpid()) + "/children"));
    std::vector<pid_t> pids;
    for (pid_t pid; text >> pid;) pids.push_back(pid);
    return pids;
  }

  std::vector<std::string> SocketNames() const {
    const auto listed =
        kernel::RunCommand({.program = "/bin/ls", .arguments = {"ls", "-A", sockets_}});
    std::istringstream text(listed ? listed->output : "");
    std::vector<std::string> names;
    for (std::string name; text >> name;) names.push_back(name);
    return names;
  }

  std::string root_ = [] {
    std::string name = "/tmp/shim_launch.XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    return name;
  }();
  const std::string sockets_ = root_ + "/s";
};

}  // namespace gantry::shim::testing
