// SPDX-License-Identifier: Apache-2.0
#include "shim/launch/delete.h"

#include <gmock/gmock.h>
#include <sys/mount.h>

#include <chrono>

#include "core/kernel/testing/require.h"
#include "shim/group/socket_path.h"
#include "shim/launch/testing/launch_fixture.h"
#include "shim/messages/task_responses.h"
#include "shim/options/bundle_options.h"
#include "shim/server/listening_socket.h"

namespace gantry::shim {
namespace {

using gantry::testing::Succeeds;
using ::testing::HasSubstr;

// With an OCI runtime that notes its arguments, and one behaviour per name.
class DeleteTest : public testing::LaunchFixture {
 protected:
  DeleteTest() {
    MakeRuntime("runtime", "");
    EXPECT_THAT(WriteBundleRuntime(Bundle("c1"), Runtime("runtime")), Succeeds());
  }

  std::string Runtime(const std::string& name) const { return root_ + "/" + name; }
  void MakeRuntime(const std::string& name, const std::string& script) {
    Write(Runtime(name),
          "#!/bin/sh\necho \"$@\" >>" + root_ + "/calls\necho \"$NOTIFY_SOCKET\" >>" + root_ +
              "/notify\n" + script + "\n",
          0755);
  }
  std::string Calls() const { return Read(root_ + "/calls"); }

  kernel::CommandResult DeleteIn(const std::string& directory) {
    return Run(Arguments("c1", "delete"), directory);
  }
  messages::DeleteResponse Deleted() {
    const auto ran = DeleteIn(Bundle("c1"));
    EXPECT_EQ(ran.status.code, 0) << ran.errors;
    warnings_ = ran.errors;
    const auto response = messages::Decode<messages::DeleteResponse>(ran.output);
    EXPECT_TRUE(response.has_value());
    return response.value_or(messages::DeleteResponse());
  }

  std::string warnings_;
};

TEST_F(DeleteTest, AnswersKilledNowAndThePidOfTheInit) {
  Write(Bundle("c1") + "/init.pid", " 4711\n");
  const messages::DeleteResponse response = Deleted();
  EXPECT_EQ(response.exit_status, 137U);
  EXPECT_EQ(response.pid, 4711U);
  ASSERT_TRUE(response.exited_at.has_value());
  EXPECT_LE(std::abs(response.exited_at->seconds - ::time(nullptr)), 60);
  EXPECT_EQ(warnings_, "");
  EXPECT_EQ(Calls(), "--root /run/containerd/runc/k8s.io --log " + Bundle("c1") +
                         "/log.json --log-format json delete --force c1\n");
}

TEST_F(DeleteTest, PassesRootAndSystemdCgroupWhenTheOptionsSaySo) {
  ASSERT_THAT(WriteBundleOptions(Bundle("c1"), {.root = "/run/other", .systemd_cgroup = true}),
              Succeeds());
  Deleted();
  EXPECT_EQ(Calls(), "--root /run/other/k8s.io --log " + Bundle("c1") +
                         "/log.json --log-format json --systemd-cgroup delete --force c1\n");
}

TEST_F(DeleteTest, WorksTwiceInARow) {
  Write(Bundle("c1") + "/init.pid", "5");
  EXPECT_EQ(Deleted().pid, 5U);
  EXPECT_EQ(Deleted().pid, 5U);
}

TEST_F(DeleteTest, WorksWithoutAnyFileOfTheShims) {
  ASSERT_EQ(::unlink((Bundle("c1") + "/runtime").c_str()), 0);
  ASSERT_EQ(::unlink((Bundle("c1") + "/config.json").c_str()), 0);
  const messages::DeleteResponse response = Deleted();
  EXPECT_EQ(response.pid, 0U);
  EXPECT_EQ(response.exit_status, 137U);
  EXPECT_THAT(warnings_, HasSubstr("init.pid"));
}

TEST_F(DeleteTest, WithoutTheRuntimeFileTheOptionsNameTheBinary) {
  ASSERT_EQ(::unlink((Bundle("c1") + "/runtime").c_str()), 0);
  ASSERT_THAT(WriteBundleOptions(Bundle("c1"), {.binary_name = Runtime("runtime")}), Succeeds());
  Deleted();
  EXPECT_THAT(Calls(), HasSubstr("delete --force c1"));
}

TEST_F(DeleteTest, BrokenFilesAreWarnings) {
  Write(Bundle("c1") + "/options.json", "{");
  for (const char* pid : {"", "x", "-7", "99999999999"}) {
    Write(Bundle("c1") + "/init.pid", pid);
    EXPECT_EQ(Deleted().pid, 0U);
    EXPECT_THAT(warnings_, HasSubstr("options.json"));
    EXPECT_THAT(warnings_, HasSubstr("init.pid"));
  }
}

TEST_F(DeleteTest, AFailingRuntimeIsAWarningWithItsText) {
  MakeRuntime("runtime", "echo it broke >&2; exit 3");
  EXPECT_EQ(Deleted().exit_status, 137U);
  EXPECT_THAT(warnings_, HasSubstr("it broke"));
  EXPECT_THAT(warnings_, HasSubstr("exit status 3"));
}

TEST_F(DeleteTest, TheRuntimeDoesNotAnswerToAServiceManager) {
  ::setenv("NOTIFY_SOCKET", "/run/notify", 1);
  Deleted();
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_EQ(Read(root_ + "/notify"), "\n");
}

TEST_F(DeleteTest, AHangingRuntimeDoesNotUseUpTheTime) {
  MakeRuntime("runtime", "exec sleep 60");
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(Deleted().exit_status, 137U);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(4500));
}

TEST_F(DeleteTest, TheBundleIsTheIdBesideTheWorkingDirectory) {
  MakeBundle("other");
  Write(Bundle("c1") + "/init.pid", "6");
  Write(Bundle("other") + "/init.pid", "7");
  const auto ran = DeleteIn(Bundle("other"));
  EXPECT_EQ(messages::Decode<messages::DeleteResponse>(ran.output)->pid, 6U);
}

TEST_F(DeleteTest, WhereThatIsNotItTheBundleIsTheFlag) {
  Write(Bundle("c1") + "/init.pid", "8");
  std::vector<std::string> arguments = Arguments("c1", "delete");
  arguments.insert(arguments.end() - 1, {"-bundle", Bundle("c1")});
  const auto ran = Run(arguments, "/proc/self");
  EXPECT_EQ(messages::Decode<messages::DeleteResponse>(ran.output)->pid, 8U);
  EXPECT_THAT(Calls(), HasSubstr(Bundle("c1") + "/log.json"));
}

TEST_F(DeleteTest, TheSocketOfAServerThatIsGoneIsRemoved) {
  const std::string address = StartIn("c1").output;
  const pid_t pid = PidOf(address);
  Deleted();
  EXPECT_EQ(PidOf(address), pid);
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
  EXPECT_THAT(SocketNames(), ::testing::SizeIs(1));
  Deleted();
  EXPECT_THAT(SocketNames(), ::testing::IsEmpty());
}

TEST_F(DeleteTest, TheSocketIsLookedForWhereTheBundleLinksTo) {
  const std::string directory = root_ + "/own";
  ASSERT_EQ(::mkdir(directory.c_str(), 0700), 0);
  ASSERT_EQ(::symlink(directory.c_str(), (Bundle("c1") + "/s").c_str()), 0);
  const std::string path = SocketPath(directory, "/run/d.sock", "k8s.io", "c1");
  auto socket = ListeningSocket::Bind(path);
  ASSERT_THAT(socket, Succeeds());
  std::move(*socket).Keep();
  Deleted();
  EXPECT_FALSE(Exists(path));
}

class DeleteMountsTest : public DeleteTest {
 protected:
  void SetUp() override {
    gantry::testing::RequirePrivateMounts();
    if (IsSkipped() || HasFatalFailure()) return;
    ASSERT_EQ(::mkdir(Rootfs().c_str(), 0711), 0);
    Mount(Rootfs());
    ASSERT_EQ(::mkdir((Rootfs() + "/sub").c_str(), 0755), 0);
    Mount(Rootfs() + "/sub");
    Mount(Rootfs() + "/sub");
  }
  void TearDown() override { ::umount2(Rootfs().c_str(), MNT_DETACH); }

  std::string Rootfs() const { return Bundle("c1") + "/rootfs"; }
  static void Mount(const std::string& target) {
    ASSERT_EQ(::mount("none", target.c_str(), "tmpfs", 0, "size=64k"), 0);
  }
  bool Mounted() const { return Read("/proc/self/mountinfo").find(Rootfs()) != std::string::npos; }
};

TEST_F(DeleteMountsTest, TheRootfsIsUnmountedWithAllBelow) {
  ASSERT_TRUE(Mounted());
  Deleted();
  EXPECT_FALSE(Mounted());
  EXPECT_EQ(::rmdir(Rootfs().c_str()), 0);
}

TEST_F(DeleteMountsTest, ABusyRootfsIsDetachedInTheEndAndInTime) {
  const kernel::UniqueFd busy(::open((Rootfs() + "/sub").c_str(), O_RDONLY | O_CLOEXEC));
  const auto start = std::chrono::steady_clock::now();
  Deleted();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(4900));
  EXPECT_FALSE(Mounted());
}

}  // namespace
}  // namespace gantry::shim
