// SPDX-License-Identifier: Apache-2.0
#include "shim/runtime/arguments.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "core/kernel/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shim/runtime/binary.h"

namespace gantry::shim {
namespace {

using ::testing::ElementsAre;

TEST(Arguments, GlobalsComeFirstAndInOrder) {
  EXPECT_THAT(GlobalArguments({.root = "/run/r/ns", .log = "/proc/1/fd/3"}),
              ElementsAre("--root", "/run/r/ns", "--log", "/proc/1/fd/3", "--log-format", "json"));
  EXPECT_THAT(GlobalArguments({.root = "/r", .log = "/l", .debug = true, .systemd_cgroup = true}),
              ElementsAre("--root", "/r", "--debug", "--log", "/l", "--log-format", "json",
                          "--systemd-cgroup"));
}

TEST(Arguments, Create) {
  EXPECT_THAT(CreateArguments({.bundle = "/b", .pid_file = "/b/init.pid"}, "c"),
              ElementsAre("create", "--bundle", "/b", "--pid-file", "/b/init.pid", "c"));
  EXPECT_THAT(
      CreateArguments({.bundle = "/b",
                       .pid_file = "/b/init.pid",
                       .console_socket = "/b/pty.sock",
                       .no_pivot_root = true,
                       .no_new_keyring = true},
                      "c"),
      ElementsAre("create", "--bundle", "/b", "--pid-file", "/b/init.pid", "--console-socket",
                  "/b/pty.sock", "--no-pivot", "--no-new-keyring", "c"));
}

TEST(Arguments, Exec) {
  EXPECT_THAT(ExecArguments({.process_file = "/b/p", .pid_file = "/b/e.pid"}, "c"),
              ElementsAre("exec", "--process", "/b/p", "--detach", "--pid-file", "/b/e.pid", "c"));
  EXPECT_THAT(ExecArguments(
                  {.process_file = "/b/p", .pid_file = "/b/e.pid", .console_socket = "/b/s"}, "c"),
              ElementsAre("exec", "--process", "/b/p", "--console-socket", "/b/s", "--detach",
                          "--pid-file", "/b/e.pid", "c"));
}

TEST(Arguments, CommandsWithAnIdAlone) {
  EXPECT_THAT(StartArguments("c"), ElementsAre("start", "c"));
  EXPECT_THAT(PauseArguments("c"), ElementsAre("pause", "c"));
  EXPECT_THAT(ResumeArguments("c"), ElementsAre("resume", "c"));
}

TEST(Arguments, KillDeleteUpdate) {
  EXPECT_THAT(KillArguments("c", 9, false), ElementsAre("kill", "c", "9"));
  EXPECT_THAT(KillArguments("c", 15, true), ElementsAre("kill", "--all", "c", "15"));
  EXPECT_THAT(DeleteArguments("c", false), ElementsAre("delete", "c"));
  EXPECT_THAT(DeleteArguments("c", true), ElementsAre("delete", "--force", "c"));
  EXPECT_THAT(UpdateArguments("c"), ElementsAre("update", "--resources=-", "c"));
}

TEST(Arguments, Checkpoint) {
  EXPECT_THAT(
      CheckpointArguments({.image_path = "/i", .work_path = "/w"}, "c"),
      ElementsAre("checkpoint", "--image-path", "/i", "--work-path", "/w", "--leave-running", "c"));
  EXPECT_THAT(
      CheckpointArguments({.image_path = "/i",
                           .work_path = "/w",
                           .parent_path = "/p",
                           .open_tcp = true,
                           .external_unix_sockets = true,
                           .terminal = true,
                           .file_locks = true,
                           .empty_namespaces = {"network", "ipc"},
                           .cgroups_mode = "soft",
                           .leave_running = false},
                          "c"),
      ElementsAre("checkpoint", "--image-path", "/i", "--work-path", "/w", "--parent-path", "/p",
                  "--tcp-established", "--ext-unix-sk", "--shell-job", "--file-locks", "--empty-ns",
                  "network", "--empty-ns", "ipc", "--manage-cgroups-mode", "soft", "c"));
}

TEST(Arguments, CrunIsSparedTheRestoreFlagsItRefuses) {
  const RestoreCommand restore{
      .create = {.bundle = "/b", .pid_file = "/b/init.pid", .no_pivot_root = true},
      .image_path = "/i",
      .work_path = "/w"};
  EXPECT_THAT(
      RestoreArguments(restore, "c", RuntimeFamily::kRunc),
      ElementsAre("restore", "--image-path", "/i", "--work-path", "/w", "--detach", "--pid-file",
                  "/b/init.pid", "--no-pivot", "--no-subreaper", "--bundle", "/b", "c"));
  EXPECT_THAT(RestoreArguments(restore, "c", RuntimeFamily::kCrun),
              ElementsAre("restore", "--image-path", "/i", "--work-path", "/w", "--detach",
                          "--pid-file", "/b/init.pid", "--bundle", "/b", "c"));
}

TEST(Binary, FamilyByName) {
  EXPECT_EQ(FamilyOf("/usr/bin/crun"), RuntimeFamily::kCrun);
  EXPECT_EQ(FamilyOf("youki"), RuntimeFamily::kYouki);
  EXPECT_EQ(FamilyOf("/opt/crun/bin/runc"), RuntimeFamily::kRunc);
  EXPECT_EQ(FamilyOf("kata"), RuntimeFamily::kRunc);
}

TEST(Binary, IsFoundInThePathOrByItsOwnPath) {
  const std::string before = std::getenv("PATH");
  ASSERT_EQ(::setenv("PATH", "/nonexistent::/etc:/bin:/usr/bin", 1), 0);
  const auto found = FindBinary("sh");
  ::setenv("PATH", before.c_str(), 1);
  ASSERT_TRUE(found.ok()) << found.error().Text();
  EXPECT_EQ(*found, "/bin/sh");
  EXPECT_EQ(*FindBinary("/bin/sh"), "/bin/sh");
  for (const char* name : {"no-such-runtime", "/no/such/runtime", "/etc/passwd", "/bin"}) {
    const auto missing = FindBinary(name);
    ASSERT_FALSE(missing.ok()) << name;
    EXPECT_EQ(missing.error().err, ENOENT);
    EXPECT_THAT(missing.error().Text(), ::testing::HasSubstr(name));
  }
}

TEST(Binary, ItsEnvironmentHasNoSocketsOfAServiceManager) {
  EXPECT_THAT(
      RuntimeEnvironment({"A=1", "NOTIFY_SOCKET=/x", "LISTEN_FDS=2", "LISTEN_PID=3",
                          "LISTEN_FDNAMES=a", "XDG_RUNTIME_DIR=/run/u", "NOTIFY_SOCKETS=kept"}),
      ElementsAre("A=1", "XDG_RUNTIME_DIR=/run/u", "NOTIFY_SOCKETS=kept"));
}

}  // namespace
}  // namespace gantry::shim
