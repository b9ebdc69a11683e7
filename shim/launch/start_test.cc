// SPDX-License-Identifier: Apache-2.0
#include "shim/launch/start.h"

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/prctl.h>

#include <algorithm>
#include <deque>

#include "core/kernel/testing/require.h"
#include "shim/group/connected_start.h"
#include "shim/launch/start_input.h"
#include "shim/launch/testing/launch_fixture.h"
#include "shim/messages/options.h"

namespace gantry::shim {
namespace {

using gantry::testing::Succeeds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

class StartTest : public testing::LaunchFixture {
 protected:
  std::string PathFor(const std::string& group) const {
    return SocketPath(sockets_, "/run/d.sock", "k8s.io", group);
  }
  std::string AddressFor(const std::string& group) const { return "unix://" + PathFor(group); }

  static std::string Spec(const std::string& annotations) {
    return R"({"ociVersion":"1.1.0","annotations":{)" + annotations + "}}";
  }

  static std::string Legacy(const messages::runc_v1::Options& options) {
    return messages::Encode(messages::Pack(options));
  }
  static std::string Bootstrap(const std::string& id, const messages::runc_v1::Options& options) {
    messages::BootstrapParams params = Params(id);
    params.extensions.push_back({messages::Pack(options)});
    return messages::Encode(params);
  }
};

TEST_F(StartTest, LegacyInputGivesABareAddressAndTheAddressFile) {
  for (const std::string& input : {std::string(), Legacy({.binary_name = "crun"})}) {
    const auto ran = StartIn("c1", input);
    EXPECT_EQ(ran.status.code, 0);
    EXPECT_EQ(ran.output, AddressFor("c1"));
    EXPECT_EQ(ran.errors, "");
    EXPECT_EQ(Read(Bundle("c1") + "/address"), AddressFor("c1"));
    struct stat found {};
    ASSERT_EQ(::stat((Bundle("c1") + "/address").c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 07777, 0644U);
    ::unlink((Bundle("c1") + "/address").c_str());
  }
}

TEST_F(StartTest, BootstrapParametersGiveABootstrapResultOfVersionThree) {
  messages::BootstrapParams params = Params("c1");
  params.containerd_ttrpc_address = "/run/other.ttrpc";
  params.log_level = messages::LogLevel::kTrace;
  const auto ran = StartIn("c1", messages::Encode(params));
  EXPECT_EQ(ran.status.code, 0) << ran.errors;
  EXPECT_EQ(ran.errors, "");
  const auto result = messages::Decode<messages::BootstrapResult>(ran.output);
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->version, 3);
  EXPECT_EQ(result->protocol, "ttrpc");
  EXPECT_EQ(result->address, AddressFor("c1"));
  EXPECT_FALSE(Exists(Bundle("c1") + "/address"));
  auto facts = Ask(result->address);
  EXPECT_EQ(facts["events"], "/run/other.ttrpc");
  EXPECT_EQ(facts["debug"], "1");
}

TEST_F(StartTest, LegacyRepliesMayBeJsonWhereTheEnvironmentSaysSo) {
  ::setenv("GANTRY_SHIM_LEGACY_REPLY", "json3", 1);
  const auto ran = StartIn("c1");
  ::unsetenv("GANTRY_SHIM_LEGACY_REPLY");
  EXPECT_EQ(ran.output,
            R"({"version":3,"address":")" + AddressFor("c1") + R"(","protocol":"ttrpc"})");
}

TEST_F(StartTest, ItsOutputEndsWhileTheServerRuns) {
  kernel::SpawnOptions options{.program = FakeShim(), .arguments = Arguments("c1", "start")};
  options.directory = Bundle("c1");
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const kernel::UniqueFd read_end(ends[0]);
  kernel::UniqueFd write_end(ends[1]);
  options.stdio = {kernel::Stdio::Null(), kernel::Stdio::Fd(write_end.get()),
                   kernel::Stdio::Fd(write_end.get())};
  auto start = kernel::Subprocess::Spawn(options);
  ASSERT_THAT(start, Succeeds());
  write_end.Reset();
  std::string output;
  while (true) {
    pollfd readable{.fd = read_end.get(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(::poll(&readable, 1, 20'000), 1);
    std::array<char, 256> buffer;
    const ssize_t got = ::read(read_end.get(), buffer.data(), buffer.size());
    if (got <= 0) break;
    output.append(buffer.data(), static_cast<size_t>(got));
  }
  EXPECT_EQ(output, AddressFor("c1"));
  EXPECT_TRUE(start->Wait(20'000).ok());
  EXPECT_GT(PidOf(output), 0);
}

TEST_F(StartTest, TheServerIsToldWhatTheDaemonSaid) {
  auto facts = Ask(StartIn("c1").output);
  EXPECT_EQ(facts["ns"], "k8s.io");
  EXPECT_EQ(facts["id"], "c1");
  EXPECT_EQ(facts["grpc"], "/run/d.sock");
  EXPECT_EQ(facts["events"], "/run/d.sock.ttrpc");
  EXPECT_EQ(facts["publish"], "/bin/d");
  EXPECT_EQ(facts["debug"], "0");
  EXPECT_EQ(facts["path"], PathFor("c1"));
  EXPECT_EQ(facts["cwd"], Bundle("c1"));
  EXPECT_EQ(facts["subreaper"], "1");
}

TEST_F(StartTest, TheServerHasNullStreamsNoOtherFdsAndItsOwnSessionAndParent) {
  const pid_t pid = PidOf(StartIn("c1").output);
  const std::string proc = "/proc/" + std::to_string(pid);
  std::array<char, 64> link{};
  for (const char* fd : {"/fd/0", "/fd/1", "/fd/2"}) {
    const ssize_t size = ::readlink((proc + fd).c_str(), link.data(), link.size());
    EXPECT_EQ(std::string(link.data(), static_cast<size_t>(std::max<ssize_t>(size, 0))),
              "/dev/null");
  }
  const auto fds = kernel::RunCommand({.program = "/bin/ls", .arguments = {"ls", proc + "/fd"}});
  ASSERT_THAT(fds, Succeeds());
  // The socket, and the peer that asked for the pid, unless it is gone already.
  EXPECT_THAT(fds->output, StartsWith("0\n1\n2\n3\n"));
  EXPECT_LE(fds->output.size(), 10U);
  EXPECT_EQ(::getsid(pid), pid);
  EXPECT_EQ(::getpgid(pid), pid);
  EXPECT_THAT(Children(), ElementsAre(pid));  // of the nearest subreaper
}

TEST_F(StartTest, TheServerLooksLikeOneThatWasExecuted) {
  const pid_t pid = PidOf(StartIn("c1").output);
  const std::string proc = "/proc/" + std::to_string(pid);
  std::string expected = FakeShim();
  for (const char* word : {"-namespace", "k8s.io", "-id", "c1", "-address", "/run/d.sock"}) {
    expected += '\0';
    expected += word;
  }
  const std::string line = Read(proc + "/cmdline");
  EXPECT_EQ(line.substr(0, expected.size()), expected);
  EXPECT_EQ(line.find_first_not_of('\0', expected.size()), std::string::npos);
  EXPECT_EQ(Read(proc + "/comm"), "shim.launch_fak\n");
}

TEST_F(StartTest, SocketAndItsDirectoryAreTheOwnersAlone) {
  ASSERT_EQ(::rmdir(sockets_.c_str()), 0);
  ASSERT_EQ(StartIn("c1").status.code, 0);
  struct stat found {};
  ASSERT_EQ(::stat(sockets_.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode, S_IFDIR | 0700U);
  ASSERT_EQ(::lstat(PathFor("c1").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode, S_IFSOCK | 0600U);
}

TEST_F(StartTest, ASocketDirectoryOfTheDaemonsIsUsedAndLinked) {
  const std::string directory = root_ + "/own";
  messages::BootstrapParams params = Params("c1");
  params.socket_dir = directory;
  ASSERT_EQ(::symlink("/elsewhere", (Bundle("c1") + "/s").c_str()), 0);
  const auto ran = StartIn("c1", messages::Encode(params));
  ASSERT_EQ(ran.status.code, 0) << ran.errors;
  const auto result = messages::Decode<messages::BootstrapResult>(ran.output);
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->address, "unix://" + SocketPath(directory, "/run/d.sock", "k8s.io", "c1"));
  EXPECT_GT(PidOf(result->address), 0);
  std::array<char, PATH_MAX> link{};
  const ssize_t size = ::readlink((Bundle("c1") + "/s").c_str(), link.data(), link.size());
  ASSERT_GT(size, 0);
  EXPECT_EQ(std::string(link.data(), static_cast<size_t>(size)), directory);
  EXPECT_THAT(SocketNames(), SizeIs(0));
}

TEST_F(StartTest, TheGroupIsTheAnnotationElseTheSandboxElseTheContainer) {
  MakeBundle("a",
             Spec(R"("io.kubernetes.cri.sandbox-id":"pod","io.containerd.runc.v2.group":"g")"));
  MakeBundle("b", Spec(R"("io.kubernetes.cri.sandbox-id":"pod")"));
  MakeBundle("c", Spec(R"("other":"x")"));
  EXPECT_EQ(StartIn("a").output, AddressFor("g"));
  EXPECT_EQ(StartIn("b").output, AddressFor("pod"));
  EXPECT_EQ(StartIn("c").output, AddressFor("c"));
}

TEST_F(StartTest, ASecondContainerOfAGroupJoinsItsServer) {
  MakeBundle("pod");
  MakeBundle("app", Spec(R"("io.kubernetes.cri.sandbox-id":"pod")"));
  const pid_t pid = PidOf(StartIn("pod").output);
  const auto joined = StartIn("app");
  EXPECT_EQ(joined.status.code, 0);
  EXPECT_EQ(joined.output, AddressFor("pod"));
  EXPECT_EQ(PidOf(joined.output), pid);
  EXPECT_EQ(Read(Bundle("app") + "/address"), AddressFor("pod"));
  EXPECT_THAT(Children(), ElementsAre(pid));
}

TEST_F(StartTest, ABrokenSpecIsAnError) {
  Write(Bundle("c1") + "/config.json", "{");
  const auto ran = StartIn("c1");
  EXPECT_EQ(ran.status.code, 1);
  EXPECT_EQ(ran.output, "");
  EXPECT_THAT(ran.errors, HasSubstr("config.json"));
  EXPECT_THAT(Children(), ElementsAre());
}

// As a sandbox may be.
TEST_F(StartTest, WithoutASpecItIsAGroupOfItsOwn) {
  ASSERT_EQ(::unlink((Bundle("c1") + "/config.json").c_str()), 0);
  EXPECT_EQ(StartIn("c1").output, AddressFor("c1"));
}

TEST_F(StartTest, TheSocketOfAKilledServerIsReplacedAndALiveOneIsNot) {
  const std::string address = StartIn("c1").output;
  const pid_t first = PidOf(address);
  EXPECT_EQ(PidOf(StartIn("c1").output), first);
  ASSERT_EQ(::kill(first, SIGKILL), 0);
  ASSERT_EQ(::waitpid(first, nullptr, 0), first);
  EXPECT_TRUE(Exists(PathFor("c1")));
  const auto again = StartIn("c1");
  EXPECT_EQ(again.output, address);
  const pid_t second = PidOf(address);
  EXPECT_GT(second, 0);
  EXPECT_NE(second, first);
  EXPECT_THAT(SocketNames(), SizeIs(1));
}

TEST_F(StartTest, AFileInTheWayIsReplacedAsAStaleSocketIs) {
  Write(PathFor("c1"), "");
  EXPECT_GT(PidOf(StartIn("c1").output), 0);
}

TEST_F(StartTest, AServerThatEndsTakesItsSocketWithIt) {
  const std::string address = StartIn("c1").output;
  const pid_t pid = PidOf(address);
  {
    const kernel::UniqueFd peer = testing::ConnectToServer(PathFor("c1"));
    ASSERT_EQ(::send(peer.get(), "q", 1, MSG_NOSIGNAL), 1);
    int status = -1;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
  }
  EXPECT_THAT(SocketNames(), ElementsAre());
}

TEST_F(StartTest, ConcurrentStartsOfOneGroupLeaveOneServer) {
  constexpr int kStarts = 12;
  for (const bool stale : {false, true}) {
    for (const pid_t pid : Children()) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
    EXPECT_EQ(Exists(PathFor("c1")), stale);
    std::deque<kernel::Subprocess> starts;
    for (int i = 0; i < kStarts; ++i) {
      kernel::SpawnOptions options{.program = FakeShim(), .arguments = Arguments("c1", "start")};
      options.directory = Bundle("c1");
      options.stdio[1] = kernel::Stdio::Pipe();
      auto spawned = kernel::Subprocess::Spawn(options);
      ASSERT_THAT(spawned, Succeeds());
      starts.push_back(*std::move(spawned));
    }
    for (kernel::Subprocess& start : starts) {
      const auto output = kernel::ReadAll(start.TakePipe(1).get(), 4096, "start");
      ASSERT_THAT(output, Succeeds());
      EXPECT_EQ(*output, AddressFor("c1"));
      const auto status = start.Wait(20'000);
      ASSERT_THAT(status, Succeeds());
      EXPECT_EQ(status->AsShellCode(), 0);
    }
    const pid_t pid = PidOf(AddressFor("c1"));
    EXPECT_GT(pid, 0);
    EXPECT_THAT(Children(), ElementsAre(pid));
    EXPECT_THAT(SocketNames(), SizeIs(1));
  }
}

TEST_F(StartTest, TheOomScoreIsTheParentsPlusOneAndAtMostThousand) {
  if (::geteuid() != 0) return gantry::testing::SkipFor("root");
  const std::string own = Read("/proc/self/oom_score_adj");
  ASSERT_THAT(kernel::WriteControlFile("/proc/self/oom_score_adj", "500"), Succeeds());
  const pid_t pid = PidOf(StartIn("c1").output);
  EXPECT_EQ(Read("/proc/" + std::to_string(pid) + "/oom_score_adj"), "501\n");
  ASSERT_THAT(kernel::WriteControlFile("/proc/self/oom_score_adj", "1000"), Succeeds());
  MakeBundle("c2");
  const pid_t other = PidOf(StartIn("c2").output);
  EXPECT_EQ(Read("/proc/" + std::to_string(other) + "/oom_score_adj"), "1000\n");
  EXPECT_THAT(kernel::WriteControlFile("/proc/self/oom_score_adj", own), Succeeds());
}

TEST_F(StartTest, TheServerIsInTheShimCgroupWhenStartReturns) {
  const std::string cgroup = root_ + "/cgroup";
  ASSERT_EQ(::mkdir(cgroup.c_str(), 0700), 0);
  int number = 0;
  for (const bool bootstrap : {false, true}) {
    Write(cgroup + "/cgroup.procs", "");
    const std::string id = "g" + std::to_string(++number);
    MakeBundle(id);
    const auto ran = StartIn(
        id, bootstrap ? Bootstrap(id, {.shim_cgroup = cgroup}) : Legacy({.shim_cgroup = cgroup}));
    ASSERT_EQ(ran.status.code, 0) << ran.errors;
    EXPECT_EQ(Read(cgroup + "/cgroup.procs"), std::to_string(PidOf(AddressFor(id))));
  }
}

TEST_F(StartTest, AMissingShimCgroupFailsWithoutLeftovers) {
  const auto ran = StartIn("c1", Legacy({.shim_cgroup = root_ + "/missing"}));
  EXPECT_EQ(ran.status.code, 1);
  EXPECT_EQ(ran.output, "");
  EXPECT_THAT(ran.errors, HasSubstr("/missing"));
  EXPECT_THAT(SocketNames(), ElementsAre());
  EXPECT_FALSE(Exists(Bundle("c1") + "/address"));
  EXPECT_THAT(Children(), ElementsAre());
}

TEST_F(StartTest, AnAnswerThatNobodyReadsLeavesNothing) {
  kernel::SpawnOptions options{.program = FakeShim(), .arguments = Arguments("c1", "start")};
  options.directory = Bundle("c1");
  kernel::UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  options.stdio[1] = kernel::Stdio::Fd(full.get());
  auto start = kernel::Subprocess::Spawn(options);
  ASSERT_THAT(start, Succeeds());
  const auto status = start->Wait(20'000);
  ASSERT_THAT(status, Succeeds());
  EXPECT_EQ(status->code, 1);
  EXPECT_THAT(SocketNames(), ElementsAre());
  EXPECT_FALSE(Exists(Bundle("c1") + "/address"));
  EXPECT_THAT(Children(), ElementsAre());
}

TEST_F(StartTest, InputBeyondTenMegabytesIsRefused) {
  const auto ran = StartIn("c1", std::string(kMaxStartInputBytes + 1, 'x'));
  EXPECT_EQ(ran.status.code, 1);
  EXPECT_THAT(ran.errors, HasSubstr("standard input"));
}

TEST_F(StartTest, CoreSchedulingIsSharedWhereAskedFor) {
  const auto cookie_of = [](pid_t pid) {
    uint64_t cookie = 0;
    ::prctl(PR_SCHED_CORE, PR_SCHED_CORE_GET, pid, 0, &cookie);
    return cookie;
  };
  ::setenv("SCHED_CORE", "1", 1);
  const auto ran = StartIn("c1");
  ::unsetenv("SCHED_CORE");
  if (ran.status.code == 0) {
    EXPECT_NE(cookie_of(PidOf(ran.output)), 0U);
    return;
  }
  EXPECT_THAT(ran.errors, HasSubstr("core scheduling"));
  EXPECT_THAT(SocketNames(), ElementsAre());
  EXPECT_THAT(Children(), ElementsAre());
}

TEST_F(StartTest, AnEnvironmentAddressForEventsIsPreferredToTheGuess) {
  ::setenv("TTRPC_ADDRESS", "/run/env.ttrpc", 1);
  auto facts = Ask(StartIn("c1").output);
  ::unsetenv("TTRPC_ADDRESS");
  EXPECT_EQ(facts["events"], "/run/env.ttrpc");
}

class ExecutedServerTest : public StartTest {
 protected:
  static std::vector<std::string> ServerArguments() {
    return {FakeShim(), "-namespace", "k8s.io", "-id", "c1", "-address", "/run/d.sock", "-debug"};
  }

  // Leaves the process to the fixture.
  pid_t Spawn(std::vector<std::string> arguments, std::vector<int> fds) {
    kernel::SpawnOptions options{.program = FakeShim(), .arguments = std::move(arguments)};
    options.extra_fds = std::move(fds);
    auto server = kernel::Subprocess::Spawn(options);
    EXPECT_THAT(server, Succeeds());
    if (!server) return 0;
    const pid_t pid = server->pid();
    std::move(*server).Release().Reset();
    return pid;
  }
};

TEST_F(ExecutedServerTest, ServesOnTheSocketAtFdThree) {
  auto socket = ListeningSocket::Bind(sockets_ + "/x");
  ASSERT_THAT(socket, Succeeds());
  const kernel::UniqueFd debug(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const pid_t pid = Spawn(ServerArguments(), {socket->fd(), debug.get()});
  auto facts = Ask("unix://" + sockets_ + "/x");
  EXPECT_EQ(facts["pid"], std::to_string(pid));
  EXPECT_EQ(facts["path"], sockets_ + "/x");
  EXPECT_EQ(facts["debug"], "1");
  EXPECT_EQ(facts["subreaper"], "1");
  EXPECT_EQ(facts["events"], "/run/d.sock.ttrpc");
}

TEST_F(ExecutedServerTest, ServesAConnectionThatWasThereBefore) {
  auto socket = ListeningSocket::Bind(sockets_ + "/x.1");
  ASSERT_THAT(socket, Succeeds());
  ASSERT_THAT(socket->MoveTo(sockets_ + "/x"), Succeeds());
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  const kernel::UniqueFd ours(ends[0]);
  kernel::UniqueFd theirs(ends[1]);
  ::setenv(kSocketVariable, (sockets_ + "/x").c_str(), 1);
  const pid_t pid = Spawn(ServerArguments(), {socket->fd(), theirs.get()});
  ::unsetenv(kSocketVariable);
  theirs.Reset();
  std::move(*socket).Keep();
  std::array<char, 4096> text;
  const ssize_t got = ::recv(ours.get(), text.data(), text.size(), 0);
  ASSERT_GT(got, 0);
  const std::string told(text.data(), static_cast<size_t>(got));
  EXPECT_THAT(told, HasSubstr("pid=" + std::to_string(pid) + "\n"));
  EXPECT_THAT(told, HasSubstr("\npath=" + sockets_ + "/x\n"));
  EXPECT_THAT(told, HasSubstr("\nvariable=\n"));
  // Its socket has the name that it was told, and goes with it.
  const kernel::UniqueFd peer = testing::ConnectToServer(sockets_ + "/x");
  ASSERT_EQ(::send(peer.get(), "q", 1, MSG_NOSIGNAL), 1);
  ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
  EXPECT_THAT(SocketNames(), ElementsAre());
}

TEST_F(ExecutedServerTest, ServesOnTheSocketThatItIsToldToMake) {
  std::vector<std::string> arguments = ServerArguments();
  arguments.insert(arguments.end(), {"-socket", sockets_ + "/y"});
  const pid_t pid = Spawn(arguments, {});
  while (PidOf("unix://" + sockets_ + "/y") == 0) ::poll(nullptr, 0, 1);
  EXPECT_EQ(PidOf("unix://" + sockets_ + "/y"), pid);
}

TEST_F(ExecutedServerTest, WithoutASocketItFails) {
  EXPECT_EQ(Run(ServerArguments(), root_).status.code, 1);
  std::vector<std::string> arguments = ServerArguments();
  arguments.insert(arguments.end(), {"-socket", sockets_ + "/" + std::string(107, 'x')});
  const auto ran = Run(arguments, root_);
  EXPECT_EQ(ran.status.code, 1);
  EXPECT_THAT(ran.errors, HasSubstr("too long"));
}

}  // namespace
}  // namespace gantry::shim
