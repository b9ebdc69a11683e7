// SPDX-License-Identifier: Apache-2.0
// Our own shim's server, started by us: the real program, and what is left when it or we fail.
#include "core/runtime/server_launch.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/kernel/file.h"
#include "core/kernel/testing/require.h"
#include "core/runtime/testing/real_container.h"
#include "core/runtime/testing/task_fixture.h"
#include "proto/types/runc/options/oci.pb.h"
#include "shim/group/group_socket.h"
#include "shim/group/socket_path.h"
#include "shim/server/listening_socket.h"

namespace gantry::runtime {
namespace {

namespace fs = std::filesystem;
using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr char kEmptySpec[] = "{}";

class ServerLaunchTest : public testing::TaskFixture {
 protected:
  ServerLaunchTest() {
    launcher_.socket_dir = (dir_.path() / "s").string();
    RestartManager();
  }
  ~ServerLaunchTest() override {
    for (const pid_t pid : Servers()) ::kill(pid, SIGKILL);
    EXPECT_TRUE(Eventually([&] { return Servers().empty(); }));
  }

  // Those that run; whoever is dead has no command line.
  std::vector<pid_t> Servers() const { return testing::ProcessesWith(launcher_.grpc_address); }

  // A server that has only just been executed has no command line yet.
  bool OneServerRuns() const {
    return Eventually([&] { return Servers().size() == 1; });
  }

  std::vector<std::string> Sockets() const {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(launcher_.socket_dir, error)) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }

  std::string PathOf(const std::string& group) const {
    return shim::SocketPath(launcher_.socket_dir, launcher_.grpc_address, ctx_.ns, group);
  }

  Bundle MakeBundle(const std::string& id, const std::string& spec = kEmptySpec) {
    auto bundle = Bundle::Create(roots_, ctx_.ns, id, spec);
    EXPECT_THAT(bundle, IsOk());
    EXPECT_THAT(bundle->WriteShimBinary(program_), IsOk());
    return *std::move(bundle);
  }

  static google::protobuf::Any Packed(const ::containerd::runc::v1::Options& runc) {
    google::protobuf::Any options;
    options.set_type_url("containerd.runc.v1.Options");
    options.set_value(runc.SerializeAsString());
    return options;
  }

  absl::StatusOr<LaunchedServer> Launch(const Bundle& bundle,
                                        const std::optional<google::protobuf::Any>& options = {}) {
    return LaunchServer(*loop_, launcher_, bundle, program_, options);
  }

  CreateOptions Options() const {
    CreateOptions options;
    options.spec.emplace();
    options.spec->set_type_url("spec");
    options.spec->set_value(kEmptySpec);
    options.runtime = program_.string();
    return options;
  }

  // A program that passes for ours, and whose server does this.
  void PlayServer(const std::string& script) {
    program_ = dir_.path() / "containerd-shim-gantry-v2";
    std::ofstream(program_) << "#!/bin/sh\nfor last; do :; done\ncase $last in\n"
                            << "-v) echo '  Start:    connected';;\ndelete) ;;\n*) " << script
                            << ";;\nesac\n";
    fs::permissions(program_, fs::perms::owner_all);
  }

  bool NothingIsLeft() { return NoBundles() && Sockets().empty() && Servers().empty(); }

  fs::path program_ = GANTRY_SHIM_BINARY;
  std::unique_ptr<Loop> loop_ = *Loop::Start("test");
};

std::string StatusLine(pid_t pid, const std::string& key) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key + ":\t")) return line.substr(key.size() + 2);
  }
  return {};
}

TEST_F(ServerLaunchTest, TheServerIsAsStartLeavesIt) {
  launcher_.environment = {"MARK=1"};
  launcher_.debug = true;
  const Bundle bundle = MakeBundle("c1");
  const auto launched = Launch(bundle);
  ASSERT_THAT(launched, IsOk());
  EXPECT_EQ(launched->endpoint, (Endpoint{3, "unix://" + PathOf("c1"), "ttrpc"}));
  EXPECT_EQ(*bundle.ReadEndpoint(), launched->endpoint);
  EXPECT_TRUE(launched->connection);
  ASSERT_TRUE(OneServerRuns());
  const pid_t pid = Servers().front();
  EXPECT_EQ(testing::ParentOf(pid), ::getpid());
  EXPECT_EQ(::getsid(pid), pid);
  const fs::path proc = "/proc/" + std::to_string(pid);
  ASSERT_TRUE(Eventually([&] { return fs::read_symlink(proc / "cwd") == "/"; }));
  std::string line = program_.string();
  for (const char* word :
       {"-namespace", "ns", "-id", "c1", "-address", launcher_.grpc_address.c_str(), "-debug"}) {
    line += std::string(1, '\0') + word;
  }
  EXPECT_EQ(testing::ReadAllOf(proc / "cmdline"), line + '\0');
  EXPECT_EQ(fs::read_symlink(proc / "fd/0"), "/dev/null");
  EXPECT_EQ(fs::read_symlink(proc / "fd/1"), "/dev/null");
  EXPECT_EQ(fs::read_symlink(proc / "fd/2"), bundle.log());
  EXPECT_THAT(testing::ReadAllOf(proc / "environ"),
              AllOf(HasSubstr("TTRPC_ADDRESS=" + launcher_.ttrpc_address), HasSubstr("MARK=1")));
  EXPECT_EQ(StatusLine(pid, "SigIgn"), "0000000000001000");  // SIGPIPE
  const int own = std::stoi(testing::ReadAllOf("/proc/self/oom_score_adj"));
  EXPECT_EQ(std::stoi(testing::ReadAllOf(proc / "oom_score_adj")), std::min(own + 1, 1000));
  EXPECT_THAT(Sockets(), SizeIs(1));
  EXPECT_EQ(fs::read_symlink(bundle.path() / "s"), launcher_.socket_dir);
}

TEST_F(ServerLaunchTest, OneServerForAGroupWhoeverStartsIt) {
  const std::string spec = R"({"annotations":{"io.containerd.runc.v2.group":"g"}})";
  const auto first = Launch(MakeBundle("c1", spec));
  ASSERT_THAT(first, IsOk());
  EXPECT_EQ(first->endpoint.address, "unix://" + PathOf("g"));
  const auto second = Launch(MakeBundle("c2", spec));
  ASSERT_THAT(second, IsOk());
  EXPECT_EQ(second->endpoint, first->endpoint);
  EXPECT_FALSE(second->connection);
  EXPECT_EQ(second->process, nullptr);
  // The program's own `start` finds it too.
  const Bundle third = MakeBundle("c3", spec);
  const auto answer = Sync<StartAnswer>([&](Done<StartAnswer> done) {
    shims_->launcher().Start(third, program_, std::nullopt, absl::Seconds(20), std::move(done));
  });
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->endpoint, first->endpoint);
  EXPECT_TRUE(OneServerRuns());
}

TEST_F(ServerLaunchTest, AServerThatStartMadeIsJoined) {
  const Bundle bundle = MakeBundle("c1");
  const auto answer = Sync<StartAnswer>([&](Done<StartAnswer> done) {
    shims_->launcher().Start(bundle, program_, std::nullopt, absl::Seconds(20), std::move(done));
  });
  ASSERT_THAT(answer, IsOk());
  const auto joined = Launch(bundle);
  ASSERT_THAT(joined, IsOk());
  EXPECT_EQ(joined->endpoint, answer->endpoint);
  EXPECT_FALSE(joined->connection);
  EXPECT_TRUE(OneServerRuns());
}

TEST_F(ServerLaunchTest, ServersAreReapedAndTakeTheirSocketWithThem) {
  const Bundle bundle = MakeBundle("c1");
  auto launched = Launch(bundle);
  ASSERT_THAT(launched, IsOk());
  ASSERT_TRUE(OneServerRuns());
  const pid_t pid = Servers().front();
  std::promise<std::optional<kernel::ExitStatus>> none;
  launched->process->WhenEnded(absl::ZeroDuration(), [&](const auto& end) { none.set_value(end); });
  EXPECT_EQ(none.get_future().get(), std::nullopt);
  std::promise<std::optional<kernel::ExitStatus>> ended;
  launched->process->WhenEnded(absl::Seconds(30), [&](const auto& end) { ended.set_value(end); });
  ASSERT_TRUE(Eventually([&] { return StatusLine(pid, "SigIgn") == "0000000000001000"; }));
  ASSERT_TRUE(
      Eventually([&] { return fs::read_symlink("/proc/" + std::to_string(pid) + "/cwd") == "/"; }));
  ::kill(pid, SIGTERM);
  const auto end = ended.get_future().get();
  ASSERT_TRUE(end.has_value());
  EXPECT_TRUE(end->success());
  EXPECT_THAT(Sockets(), IsEmpty());
  EXPECT_EQ(::waitpid(pid, nullptr, WNOHANG), -1);  // nobody is left to wait for
  std::promise<std::optional<kernel::ExitStatus>> later;
  launched->process->WhenEnded(absl::ZeroDuration(),
                               [&](const auto& end) { later.set_value(end); });
  EXPECT_TRUE(later.get_future().get().has_value());
}

TEST_F(ServerLaunchTest, AMissingShimCgroupFailsWithoutLeftovers) {
  ::containerd::runc::v1::Options runc;
  runc.set_shim_cgroup("/gantry-no-such-cgroup");
  CreateOptions options = Options();
  options.runtime_options = Packed(runc);
  EXPECT_THAT(Create("c1", options), StatusIs(absl::StatusCode::kUnknown,
                                              HasSubstr("join cgroup /gantry-no-such-cgroup")));
  EXPECT_TRUE(NothingIsLeft());
}

TEST_F(ServerLaunchTest, AProgramThatCannotBeExecutedFailsWithoutLeftovers) {
  PlayServer("exit 0");
  ASSERT_THAT(Create("known", Options()), Not(IsOk()));  // it has been asked what it is
  std::ofstream(program_) << "#!/nonexistent/interpreter\n";
  const Bundle bundle = MakeBundle("c1");
  EXPECT_THAT(Launch(bundle), StatusIs(absl::StatusCode::kUnknown, HasSubstr("exec ")));
  EXPECT_FALSE(fs::exists(PathOf("c1")));
  EXPECT_FALSE(fs::exists(shim::NameBeside(PathOf("c1"), shim::DaemonTag("c1"))));
  EXPECT_THAT(bundle.ReadEndpoint(), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ServerLaunchTest, ASpecThatCannotBeReadFailsWithoutLeftovers) {
  const Bundle bundle = MakeBundle("c1", "no json");
  EXPECT_THAT(Launch(bundle), StatusIs(absl::StatusCode::kUnknown, HasSubstr("config.json")));
  EXPECT_THAT(Sockets(), IsEmpty());
  EXPECT_THAT(bundle.ReadEndpoint(), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ServerLaunchTest, AServerThatEndsEarlySaysHow) {
  PlayServer("exit 3");
  EXPECT_THAT(Create("c1", Options()),
              StatusIs(absl::StatusCode::kUnknown, AllOf(HasSubstr("shim ended: exit status 3"),
                                                         HasSubstr("create shim task"))));
  EXPECT_TRUE(Eventually([&] { return NoBundles(); }));
  PlayServer("kill -9 $$");
  EXPECT_THAT(Create("c1", Options()),
              StatusIs(absl::StatusCode::kUnknown, HasSubstr("shim ended: killed by signal 9")));
  EXPECT_TRUE(Eventually([&] { return NoBundles(); }));
  EXPECT_THAT(List(), IsEmpty());
}

// What a daemon leaves that is killed after each of the steps of a create.
class KilledDaemonTest : public ServerLaunchTest {
 protected:
  KilledDaemonTest() { StopManager(); }

  Bundle Noted() {
    Bundle bundle = MakeBundle("c1");
    EXPECT_THAT(bundle.LinkSocketDirectory(launcher_.socket_dir), IsOk());
    EXPECT_THAT(bundle.WriteEndpoint({3, "unix://" + PathOf("c1"), "ttrpc"}), IsOk());
    return bundle;
  }
  void Leave(const std::string& path) {
    EXPECT_TRUE(kernel::MakeDirectories(launcher_.socket_dir, 0700).ok());
    auto socket = shim::ListeningSocket::Bind(path);
    ASSERT_TRUE(socket.ok()) << socket.error().Text();
    std::move(*socket).Keep();
    ASSERT_THAT(Sockets(), SizeIs(1));
  }
  void ExpectCleanUp() {
    StartManager();
    EXPECT_TRUE(Eventually([&] { return NothingIsLeft() && List().empty(); }))
        << ::testing::PrintToString(Sockets()) << ::testing::PrintToString(Servers());
    EXPECT_EQ(NextEvent<::containerd::events::TaskExit>("/tasks/exit", absl::ZeroDuration()),
              std::nullopt);
  }
};

TEST_F(KilledDaemonTest, BeforeItNotedTheSocket) {
  MakeBundle("c1");
  ExpectCleanUp();
}

TEST_F(KilledDaemonTest, BeforeItMadeTheSocket) {
  Noted();
  ExpectCleanUp();
}

TEST_F(KilledDaemonTest, BeforeTheSocketGotItsName) {
  Noted();
  Leave(shim::NameBeside(PathOf("c1"), shim::DaemonTag("c1")));
  ExpectCleanUp();
}

TEST_F(KilledDaemonTest, BeforeItStartedTheServer) {
  Noted();
  Leave(PathOf("c1"));
  ExpectCleanUp();
}

TEST_F(KilledDaemonTest, BeforeItSentTheCreate) {
  ASSERT_THAT(Launch(MakeBundle("c1")), IsOk());  // and the connection closes
  ASSERT_TRUE(OneServerRuns());
  ExpectCleanUp();
}

TEST_F(KilledDaemonTest, ItsServerWasKilledToo) {
  ASSERT_THAT(Launch(MakeBundle("c1")), IsOk());
  ASSERT_TRUE(OneServerRuns());
  ::kill(Servers().front(), SIGKILL);
  ASSERT_TRUE(Eventually([&] { return Servers().empty(); }));
  EXPECT_THAT(Sockets(), ElementsAre(fs::path(PathOf("c1")).filename().string()));
  ExpectCleanUp();
}

}  // namespace
}  // namespace gantry::runtime
