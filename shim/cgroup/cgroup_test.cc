// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "core/base/testing/temp_dir.h"
#include "core/kernel/file.h"
#include "core/kernel/subprocess.h"
#include "core/kernel/testing/matchers.h"
#include "core/kernel/testing/require.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shim/cgroup/location.h"
#include "shim/cgroup/oom_watcher.h"
#include "shim/cgroup/placement.h"
#include "shim/cgroup/removal.h"
#include "shim/cgroup/stat_file.h"
#include "shim/loop/loop.h"

namespace gantry::shim::cgroup {
namespace {

using gantry::testing::FailsWith;
using gantry::testing::Succeeds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int kWaitMs = 30'000;

// A cgroup of version 1 in the hierarchies of memory and pids.
class TestCgroup {
 public:
  explicit TestCgroup(const std::string& path) : path_(path) {
    for (const std::string& directory : Directories()) {
      EXPECT_EQ(::mkdir(directory.c_str(), 0755), 0) << directory;
    }
  }
  TestCgroup(const TestCgroup&) = delete;
  ~TestCgroup() { Remove(); }

  // A process that is ending keeps its cgroup busy.
  void Remove() {
    for (const std::string& directory : Directories()) {
      for (int left = 1000; ::rmdir(directory.c_str()) != 0 && errno == EBUSY && left > 0; --left) {
        ::usleep(5000);
      }
    }
  }
  void LimitMemory(const std::string& bytes) {
    EXPECT_THAT(kernel::WriteControlFile(Directories()[0] + "/memory.limit_in_bytes", bytes),
                Succeeds());
  }
  const std::string& path() const { return path_; }
  std::vector<std::string> Directories() const {
    return {"/sys/fs/cgroup/memory" + path_, "/sys/fs/cgroup/pids" + path_};
  }

 private:
  const std::string path_;
};

class CgroupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    gantry::testing::RequireRoot();
    if (IsSkipped()) return;
    if (::access("/sys/fs/cgroup/memory/cgroup.event_control", F_OK) != 0 ||
        ::access("/sys/fs/cgroup/pids/cgroup.procs", F_OK) != 0) {
      gantry::testing::SkipFor("cgroup version 1");
    }
  }

  std::string Name() const { return "/gantry-cgroup-test-" + std::to_string(::getpid()); }

  // A shell in the cgroup that goes on once told to.
  static kernel::Subprocess StartIn(const TestCgroup& cgroup, const std::string& script) {
    auto child = kernel::Subprocess::Spawn(
        {.program = "/bin/sh",
         .arguments = {"sh", "-c", "read go; " + script},
         .stdio = {kernel::Stdio::Pipe(), kernel::Stdio::Null(), kernel::Stdio::Null()}});
    EXPECT_THAT(child, Succeeds());
    EXPECT_THAT(JoinCgroup(child->pid(), cgroup.path()), Succeeds());
    return *std::move(child);
  }

  void RunLoop() {
    Timer limit(*loop_, [this] {
      ADD_FAILURE() << "nothing happened";
      loop_->Stop();
    });
    limit.After(seconds(30));
    loop_->Run();
  }

  std::unique_ptr<Loop> loop_ = *Loop::Create();
  std::vector<std::string> killed_;
  OomWatcher watcher_{*loop_, [this](const std::string& id) {
                        killed_.push_back(id);
                        loop_->Stop();
                      }};
};

TEST_F(CgroupTest, ProcessesBelowAreListedAndKilledAndNoOthers) {
  TestCgroup outer(Name());
  TestCgroup inner(Name() + "/inner");
  TestCgroup other(Name() + "-other");
  auto first = StartIn(outer, "sleep 1000");
  auto second = StartIn(inner, "sleep 1000");
  auto bystander = StartIn(other, "");
  const auto location = Location::Of(first.pid());
  ASSERT_THAT(location, Succeeds());
  EXPECT_EQ(location->DirectoryOf("memory"), outer.Directories()[0]);
  auto expected = std::vector{first.pid(), second.pid()};
  EXPECT_THAT(*location->Pids(), ::testing::UnorderedElementsAreArray(expected));
  EXPECT_THAT(location->KillAll(), Succeeds());
  EXPECT_EQ(first.Wait(kWaitMs)->signal, SIGKILL);
  EXPECT_EQ(second.Wait(kWaitMs)->signal, SIGKILL);
  EXPECT_THAT(*location->Pids(), IsEmpty());
  bystander.TakePipe(0).Reset();
  EXPECT_EQ(bystander.Wait(kWaitMs)->signal, 0);
  inner.Remove();
  outer.Remove();
  EXPECT_THAT(*location->Pids(), IsEmpty());
  EXPECT_THAT(location->KillAll(), Succeeds());
  EXPECT_EQ(location->Metrics().type_url, "io.containerd.cgroups.v1.Metrics");
}

TEST_F(CgroupTest, WhatARuntimeLeftIsRemovedOnceItIsEmpty) {
  TestCgroup cgroup("/gantry-removal-" + std::to_string(::getpid()));
  EXPECT_TRUE(RemoveAt("/"));
  EXPECT_TRUE(RemoveAt("relative"));
  EXPECT_TRUE(RemoveAt("/.." + cgroup.path()));
  EXPECT_EQ(::access(cgroup.Directories()[0].c_str(), F_OK), 0);
  const std::string inner = cgroup.Directories()[0] + "/inner";
  ASSERT_EQ(::mkdir(inner.c_str(), 0755), 0);
  EXPECT_FALSE(RemoveAt(cgroup.path()));
  ASSERT_EQ(::rmdir(inner.c_str()), 0);
  EXPECT_TRUE(RemoveAt(cgroup.path()));
  for (const std::string& directory : cgroup.Directories())
    EXPECT_EQ(::access(directory.c_str(), F_OK), -1) << directory;
  EXPECT_TRUE(RemoveAt(cgroup.path()));
}

TEST_F(CgroupTest, OurOwnCgroupIsNotKilled) {
  EXPECT_THAT(Location::Of(::getpid())->KillAll(), FailsWith(EINVAL));
}

TEST_F(CgroupTest, JoiningAMissingCgroupFails) {
  EXPECT_THAT(JoinCgroup(::getpid(), Name() + "-none"), FailsWith(ENOENT));
}

TEST_F(CgroupTest, OomScoreIsRead) {
  TestCgroup cgroup(Name());
  auto child = StartIn(cgroup, "");
  EXPECT_THAT(SetOomScoreAdj(child.pid(), 321), Succeeds());
  EXPECT_EQ(*OomScoreAdj(child.pid()), 321);
  EXPECT_THAT(SetOomScoreAdj(child.pid(), 1001), FailsWith(EINVAL));
}

TEST_F(CgroupTest, AKilledChildIsReportedOnceAndNotInTheCgroupBeside) {
  TestCgroup pod(Name());
  pod.LimitMemory("33554432");
  TestCgroup one(Name() + "/one");
  TestCgroup two(Name() + "/two");
  auto quiet = StartIn(one, "");
  auto greedy = StartIn(two, "tail /dev/zero; read end");
  ASSERT_THAT(watcher_.Watch("one", *Location::Of(quiet.pid())), Succeeds());
  ASSERT_THAT(watcher_.Watch("two", *Location::Of(greedy.pid())), Succeeds());
  const auto input = greedy.TakePipe(0);
  ASSERT_THAT(kernel::WriteAll(input.get(), "go\n", "input"), Succeeds());
  RunLoop();
  EXPECT_THAT(killed_, ElementsAre("two"));
  EXPECT_FALSE(watcher_.ReadLast("one"));
  EXPECT_FALSE(watcher_.ReadLast("two"));
}

TEST_F(CgroupTest, AKillThatWasNotReportedIsReadAtTheEnd) {
  TestCgroup cgroup(Name());
  cgroup.LimitMemory("33554432");
  auto greedy = StartIn(cgroup, "exec tail /dev/zero");
  ASSERT_THAT(watcher_.Watch("c", *Location::Of(greedy.pid())), Succeeds());
  EXPECT_FALSE(watcher_.ReadLast("c"));
  ASSERT_THAT(kernel::WriteAll(greedy.TakePipe(0).get(), "go\n", "input"), Succeeds());
  EXPECT_EQ(greedy.Wait(kWaitMs)->signal, SIGKILL);
  EXPECT_TRUE(watcher_.ReadLast("c"));
  EXPECT_FALSE(watcher_.ReadLast("c"));
  cgroup.Remove();  // wakes the watcher once more
  EXPECT_FALSE(watcher_.ReadLast("c"));
  EXPECT_THAT(killed_, IsEmpty());
  watcher_.Forget("c");
  EXPECT_EQ(loop_->watches(), 0U);
}

TEST_F(CgroupTest, TheRootIsNotWatched) {
  auto pids = Location::Of(1);
  ASSERT_THAT(pids, Succeeds());
  if (pids->HierarchyOf("memory")->path != "/") GTEST_SKIP() << "init is not in the root";
  EXPECT_THAT(watcher_.Watch("c", *pids), FailsWith(EINVAL));
}

// Version 2, on plain files, which inotify watches just as well.
class UnifiedOomTest : public CgroupTest {
 protected:
  void SetUp() override {}

  Location Make(const std::string& name, int pid) {
    const std::string proc = base_ + "/proc/" + std::to_string(pid);
    const std::string directory = base_ + "/cg/" + name;
    EXPECT_THAT(kernel::MakeDirectories(proc, 0755), Succeeds());
    EXPECT_THAT(kernel::MakeDirectories(directory, 0755), Succeeds());
    Fill(proc + "/cgroup", "0::/" + name + "\n");
    Fill(proc + "/stat", "1 (x) S 1");
    Fill(directory + "/memory.events", "oom_kill 0\n");
    Fill(directory + "/cgroup.events", "populated 1\n");
    return *Location::Of(
        pid, {.proc = base_ + "/proc", .cgroup = base_ + "/cg", .huge_pages = "", .unified = true});
  }
  static void Fill(const std::string& path, const std::string& content) {
    EXPECT_THAT(kernel::WriteFileAtomic(path, content, 0644, kernel::Durability::kNone),
                Succeeds());
  }
  void SetKills(const std::string& name, int kills) {
    EXPECT_THAT(kernel::WriteControlFile(base_ + "/cg/" + name + "/memory.events",
                                         "oom_kill " + std::to_string(kills) + "\n"),
                Succeeds());
  }

  gantry::testing::TempDir dir_;
  std::string base_ = dir_.path();
};

TEST_F(UnifiedOomTest, AllContainersShareOneWatch) {
  for (int i = 0; i < 200; ++i) {
    const std::string id = "c" + std::to_string(i);
    ASSERT_THAT(watcher_.Watch(id, Make(id, 100 + i)), Succeeds());
  }
  EXPECT_EQ(loop_->watches(), 1U);
  SetKills("c77", 1);
  SetKills("c77", 3);
  RunLoop();
  EXPECT_THAT(killed_, ElementsAre("c77"));
  EXPECT_FALSE(watcher_.ReadLast("c77"));
  SetKills("c77", 4);
  EXPECT_TRUE(watcher_.ReadLast("c77"));
  EXPECT_FALSE(watcher_.ReadLast("c77"));
}

TEST_F(UnifiedOomTest, ContainersOfOneCgroupAreWatchedEach) {
  const Location location = Make("shared", 100);
  ASSERT_THAT(watcher_.Watch("a", location), Succeeds());
  ASSERT_THAT(watcher_.Watch("b", location), Succeeds());
  watcher_.Forget("a");
  SetKills("shared", 1);
  RunLoop();
  EXPECT_THAT(killed_, ElementsAre("b"));
  EXPECT_FALSE(watcher_.ReadLast("a"));
}

TEST_F(UnifiedOomTest, AMissingCgroupIsNotWatched) {
  const Location location = Make("gone", 100);
  ASSERT_EQ(::unlink((base_ + "/cg/gone/memory.events").c_str()), 0);
  EXPECT_THAT(watcher_.Watch("a", location), FailsWith(ENOENT));
}

}  // namespace
}  // namespace gantry::shim::cgroup
