// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include "absl/time/clock.h"
#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/config/section.h"
#include "core/kernel/unique_fd.h"
#include "core/plugin/graph.h"
#include "core/process/folder_lock.h"
#include "core/process/limits.h"
#include "core/process/opt.h"
#include "core/process/service_manager.h"
#include "gtest/gtest.h"

namespace gantry::process {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Read(const std::filesystem::path& file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

TEST(LimitsTest, OpenFilesAreRaisedAsFarAsWeMay) {
  rlimit original{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &original), 0);
  ASSERT_GE(original.rlim_max, 128U);
  const rlimit low{.rlim_cur = 64, .rlim_max = original.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  const auto before = RaiseOpenFiles();
  rlimit raised{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &raised), 0);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &original), 0);
  ASSERT_THAT(before, IsOk());
  EXPECT_EQ(before->rlim_cur, 64U);
  EXPECT_EQ(before->rlim_max, original.rlim_max);
  EXPECT_EQ(raised.rlim_cur, original.rlim_max);
}

// Sets a variable for the length of a test.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const std::string& value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    ::setenv(name, value.c_str(), 1);
  }
  ~ScopedVariable() {
    if (before_) {
      ::setenv(name_, before_->c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;

 private:
  const char* const name_;
  std::optional<std::string> before_;
};

TEST(FolderLockTest, ASecondHolderIsToldWhoIsTheFirst) {
  const testing::TempDir dir;
  {
    const auto lock = FolderLock::Take(dir.path(), absl::ZeroDuration());
    ASSERT_THAT(lock, IsOk());
    const absl::Time start = absl::Now();
    EXPECT_THAT(FolderLock::Take(dir.path(), absl::Milliseconds(50)).status(),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         HasSubstr("(pid " + std::to_string(::getpid()) + ")")));
    EXPECT_GE(absl::Now() - start, absl::Milliseconds(50));
  }
  EXPECT_THAT(FolderLock::Take(dir.path(), absl::ZeroDuration()).status(), IsOk());
}

TEST(FolderLockTest, AFolderThatIsNotThereIsAnError) {
  EXPECT_FALSE(FolderLock::Take("/nonexistent/folder", absl::ZeroDuration()).ok());
}

// A datagram socket that a service manager would listen on.
class NotifySocket {
 public:
  explicit NotifySocket(const std::string& name)
      : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  }
  std::string Receive() {
    char buffer[256];
    const ssize_t count = ::recv(socket_.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
    return count < 0 ? "nothing" : std::string(buffer, static_cast<size_t>(count));
  }

 private:
  kernel::UniqueFd socket_;
};

TEST(ServiceManagerTest, StateGoesToTheNamedSocket) {
  const testing::TempDir dir;
  for (const std::string& name :
       {(dir.path() / "notify").string(), "@gantry-test-" + std::to_string(::getpid())}) {
    NotifySocket socket(name);
    const ScopedVariable variable("NOTIFY_SOCKET", name);
    EXPECT_THAT(NotifyServiceManager("READY=1"), IsOk());
    EXPECT_EQ(socket.Receive(), "READY=1");
  }
}

TEST(ServiceManagerTest, WithoutAManagerNothingHappens) {
  const ScopedVariable variable("NOTIFY_SOCKET", "");
  EXPECT_THAT(NotifyServiceManager("READY=1"), IsOk());
}

TEST(ServiceManagerTest, AManagerThatIsGoneIsAnError) {
  const ScopedVariable variable("NOTIFY_SOCKET", "/nonexistent/notify");
  EXPECT_FALSE(NotifyServiceManager("READY=1").ok());
  const ScopedVariable longer("NOTIFY_SOCKET", "/" + std::string(200, 'x'));
  EXPECT_THAT(NotifyServiceManager("READY=1"), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(LimitsTest, TheOomScoreIsTheKernels) {
  int score = std::stoi(Read("/proc/self/oom_score_adj"));
  score = score < 1000 ? score + 1 : score;  // Only raising it needs no privilege.
  EXPECT_THAT(SetOomScore(score), IsOk());
  EXPECT_EQ(std::stoi(Read("/proc/self/oom_score_adj")), score);
  EXPECT_FALSE(SetOomScore(1001).ok());
}

// Hierarchies are played by folders: what counts is what is written where.
TEST(LimitsTest, TheUnifiedHierarchyIsJoinedOnce) {
  const testing::TempDir dir;
  std::ofstream(dir.path() / "cgroup.procs");
  std::filesystem::create_directories(dir.path() / "a/b");
  std::ofstream(dir.path() / "a/b/cgroup.procs");
  EXPECT_THAT(JoinCgroup("/a/b", dir.path()), IsOk());
  EXPECT_EQ(Read(dir.path() / "a/b/cgroup.procs"), std::to_string(::getpid()));
  EXPECT_THAT(JoinCgroup("/", dir.path()), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(LimitsTest, EveryOldHierarchyIsJoinedAndCpusetsAreInherited) {
  const testing::TempDir dir;
  for (const char* controller : {"cpuset", "memory"}) {
    std::filesystem::create_directories(dir.path() / controller / "g");
    std::ofstream(dir.path() / controller / "cgroup.procs");
    std::ofstream(dir.path() / controller / "g/cgroup.procs");
  }
  std::ofstream(dir.path() / "cpuset/cpuset.cpus") << "0-1\n";
  std::ofstream(dir.path() / "cpuset/g/cpuset.cpus") << "\n";
  std::ofstream(dir.path() / "cpuset/cpuset.mems") << "0\n";
  std::ofstream(dir.path() / "cpuset/g/cpuset.mems") << "1\n";
  EXPECT_THAT(JoinCgroup("g", dir.path()), IsOk());
  EXPECT_THAT(Read(dir.path() / "cpuset/g/cpuset.cpus"), StartsWith("0-1"));
  EXPECT_THAT(Read(dir.path() / "cpuset/g/cpuset.mems"), StartsWith("1"));
  for (const char* controller : {"cpuset", "memory"}) {
    EXPECT_EQ(Read(dir.path() / controller / "g/cgroup.procs"), std::to_string(::getpid()));
  }
}

TEST(OptTest, TheFolderIsMadeAndExported) {
  const testing::TempDir dir;
  config::Section section("s", {{"path", (dir.path() / "opt").string()}});
  plugin::Graph graph({.root = dir.path(), .state = dir.path()});
  const std::vector<plugin::Registration> all = {OptPlugin()};
  ASSERT_THAT(graph.Start(all, [&](auto, auto) -> config::Section& { return section; }), IsOk());
  ASSERT_THAT(graph.entries()[0]->status, IsOk());
  EXPECT_EQ(graph.entries()[0]->meta.exports.at("path"), dir.path() / "opt");
  EXPECT_TRUE(std::filesystem::is_directory(dir.path() / "opt/bin"));
  EXPECT_TRUE(std::filesystem::is_directory(dir.path() / "opt/lib"));
}

TEST(OptTest, ItsProgramsComeFirst) {
  const ScopedVariable path("PATH", "/usr/bin");
  const ScopedVariable libraries("LD_LIBRARY_PATH", "");
  AddOptToEnvironment("/opt/x");
  EXPECT_STREQ(std::getenv("PATH"), "/opt/x/bin:/usr/bin");
  EXPECT_STREQ(std::getenv("LD_LIBRARY_PATH"), "/opt/x/lib");
}

}  // namespace
}  // namespace gantry::process
