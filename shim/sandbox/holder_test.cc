// SPDX-License-Identifier: Apache-2.0
#include "shim/sandbox/holder.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include "core/kernel/testing/require.h"
#include "gtest/gtest.h"
#include "shim/loop/signals.h"

namespace gantry::shim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Started = kernel::Result<std::shared_ptr<Holder>>;

ino_t NamespaceOf(const std::string& process, const std::string& kind) {
  struct stat found {};
  EXPECT_EQ(::stat(("/proc/" + process + "/ns/" + kind).c_str(), &found), 0) << kind;
  return found.st_ino;
}

std::string Read(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class HolderTest : public ::testing::Test {
 protected:
  void SetUp() override { gantry::testing::RequireRoot(); }

  void RunUntil(const std::function<bool()>& done) {
    Timer look(loop_, [this, &look, &done] {
      children_.Reap();
      if (done()) return loop_.Stop();
      look.After(milliseconds(1));
    });
    Timer limit(loop_, [this] {
      ADD_FAILURE() << "it takes too long";
      loop_.Stop();
    });
    limit.After(seconds(30));
    look.After(milliseconds(0));
    loop_.Run();
  }

  Started StartHolder(SandboxNamespaces namespaces) {
    std::optional<Started> started;
    Start(Keep(this, std::move(namespaces), &started));
    RunUntil([&] { return started.has_value(); });
    return *std::move(started);
  }
  static Co<void> Keep(HolderTest* self, SandboxNamespaces namespaces,
                       std::optional<Started>* started) {
    started->emplace(co_await Holder::Start(self->loop_, self->children_, std::move(namespaces),
                                            "pod", Clock::now() + seconds(20)));
  }

  void End(Holder& holder) {
    holder.Kill();
    RunUntil([&] { return holder.exit().has_value(); });
    EXPECT_EQ(holder.exit()->status.signal, SIGKILL);
    EXPECT_EQ(children_.awaited(), 0U);
  }

  std::unique_ptr<Loop> owned_ = *Loop::Create();
  Loop& loop_ = *owned_;
  Children children_{loop_, [](const Exit&) {}};
};

TEST_F(HolderTest, KeepsTheNamespacesThatItIsToldTo) {
  const auto holder = StartHolder({.hostname = "pod-7"});
  ASSERT_TRUE(holder.ok()) << holder.error().Text();
  const std::string pid = std::to_string((*holder)->pid());
  for (const char* kind : {"ipc", "uts"})
    EXPECT_NE(NamespaceOf(pid, kind), NamespaceOf("self", kind));
  for (const char* kind : {"pid", "net", "mnt"})
    EXPECT_EQ(NamespaceOf(pid, kind), NamespaceOf("self", kind));
  End(**holder);
}

TEST_F(HolderTest, SharesAPidNamespaceIfItIsToAndJoinsANetwork) {
  // Whose network is joined.
  const pid_t other = ::fork();
  if (other == 0) {
    ::unshare(CLONE_NEWNET);
    ::kill(::getpid(), SIGSTOP);
    ::_exit(0);
  }
  ASSERT_GT(other, 0);
  ASSERT_EQ(::waitpid(other, nullptr, WUNTRACED), other);
  const std::string netns = "/proc/" + std::to_string(other) + "/ns/net";
  const auto holder = StartHolder({.ipc = false, .uts = false, .pid = true, .netns_path = netns});
  ASSERT_TRUE(holder.ok()) << holder.error().Text();
  const std::string pid = std::to_string((*holder)->pid());
  EXPECT_NE(NamespaceOf(pid, "pid"), NamespaceOf("self", "pid"));
  EXPECT_EQ(NamespaceOf(pid, "ipc"), NamespaceOf("self", "ipc"));
  EXPECT_EQ(NamespaceOf(pid, "net"), NamespaceOf(std::to_string(other), "net"));
  EXPECT_NE(NamespaceOf(pid, "net"), NamespaceOf("self", "net"));
  // Containers that share its PID namespace may look into it and trace it: nothing of the host is
  // there.
  EXPECT_NE(NamespaceOf(pid, "mnt"), NamespaceOf("self", "mnt"));
  EXPECT_TRUE(std::filesystem::is_empty("/proc/" + pid + "/root/"));
  for (const char* line :
       {"CapPrm:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"})
    EXPECT_NE(Read("/proc/" + pid + "/status").find(line), std::string::npos) << line;
  EXPECT_EQ(Read("/proc/" + pid + "/environ").find_first_not_of('\0'), std::string::npos);
  EXPECT_FALSE(Read("/proc/self/environ").empty());
  End(**holder);
  ::kill(other, SIGKILL);
  RunUntil([&] { return ::kill(other, 0) != 0; });
}

TEST_F(HolderTest, SaysWhatItCannotJoin) {
  auto holder = StartHolder({.netns_path = "/nonexistent/netns"});
  ASSERT_FALSE(holder.ok());
  EXPECT_EQ(holder.error().err, ENOENT);
  EXPECT_EQ(holder.error().what, "join network namespace /nonexistent/netns");
  holder = StartHolder({.netns_path = "/dev/null"});
  ASSERT_FALSE(holder.ok());
  EXPECT_EQ(holder.error().err, EINVAL);
  RunUntil([this] { return children_.awaited() == 0; });
  // Whoever waited for the end goes on a turn later.
  int turns = 0;
  RunUntil([&turns] { return ++turns > 2; });
}

TEST_F(HolderTest, HoldsNoFilesAndNoSignals) {
  const auto holder = StartHolder({});
  ASSERT_TRUE(holder.ok()) << holder.error().Text();
  const std::string proc = "/proc/" + std::to_string((*holder)->pid());
  for (const char* fd : {"0", "1", "2"}) {
    std::array<char, 64> target{};
    ::readlink((proc + "/fd/" + fd).c_str(), target.data(), target.size());
    EXPECT_STREQ(target.data(), "/dev/null");
  }
  // It closes the last one only after it has told that it is ready.
  RunUntil([&] { return ::access((proc + "/fd/3").c_str(), F_OK) != 0; });
  EXPECT_TRUE(Read(proc + "/cmdline").starts_with(std::string("gantry-sandbox pod\0", 19)));
  const std::string status = Read(proc + "/status");
  EXPECT_NE(status.find("SigBlk:\t0000000000000000"), std::string::npos) << status;
  End(**holder);
}

}  // namespace
}  // namespace gantry::shim
