// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/restart/monitor.h"

#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/events/exchange.h"
#include "core/metadata/metadata.h"
#include "core/runtime/restart/policy.h"
#include "core/runtime/restart/testing/fake_tasks.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gantry::runtime::restart {
namespace {

using ::gantry::testing::IsOk;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// The calls of two passes over a container that is not to be touched.
constexpr size_t kTwice = 2;

class MonitorTest : public ::testing::Test {
 protected:
  ~MonitorTest() override { monitor_.reset(); }

  void StartMonitor() {
    auto tasks = std::make_unique<Borrowed>(tasks_);
    monitor_ = std::make_unique<Monitor>(
        Monitor::Parts{.namespaces = namespaces::NamespaceStore(*metadata_, exchange_),
                       .containers = containers_,
                       .snapshotters = {},
                       .tasks = std::move(tasks),
                       .loop = *loop_,
                       .workers = workers_},
        Monitor::Options{.interval = absl::Milliseconds(10)});
    monitor_->Start();
  }

  void Add(const std::string& ns, const std::string& id, Labels labels, std::string spec = "{}") {
    containers::Container container{
        .id = id, .labels = std::move(labels), .runtime_name = "io.r.v2"};
    container.spec.emplace();
    container.spec->set_type_url("spec");
    container.spec->set_value(std::move(spec));
    ASSERT_THAT(containers_.Create({.ns = ns}, container), IsOk());
  }
  std::string CountOf(const std::string& ns, const std::string& id) {
    const auto container = containers_.Get({.ns = ns}, id);
    if (!container.ok()) return container.status().ToString();
    const auto label = container->labels.find(kCountLabel);
    return label == container->labels.end() ? "" : label->second;
  }
  static Labels Running(std::string_view policy = "always") {
    return {{std::string(kStatusLabel), "running"},
            {std::string(kPolicyLabel), std::string(policy)}};
  }
  // After this, every container of before has been looked at `times` times more, to the end.
  void AwaitPasses(size_t times = kTwice) {
    const size_t seen = tasks_.Count("get probe/probe");
    ASSERT_TRUE(tasks_.Await("get probe/probe", seen + times + 1));
  }
  void AddProbe() {
    Add("probe", "probe", Running());
    tasks_.SetTask("probe/probe", Status::kRunning);
  }

  // The monitor owns its tasks, and so does the test.
  class Borrowed final : public TaskControl {
   public:
    explicit Borrowed(TaskControl& tasks) : tasks_(tasks) {}
    void Get(const Context& ctx, const std::string& id, Done<ProcessState> done) override {
      tasks_.Get(ctx, id, std::move(done));
    }
    void Kill(const Context& ctx, const std::string& id, Done<Nothing> done) override {
      tasks_.Kill(ctx, id, std::move(done));
    }
    void Wait(const Context& ctx, const std::string& id, Done<Exit> done) override {
      tasks_.Wait(ctx, id, std::move(done));
    }
    void Delete(const Context& ctx, const std::string& id, Done<Exit> done) override {
      tasks_.Delete(ctx, id, std::move(done));
    }
    void Run(const Context& ctx, const std::string& id, CreateOptions options,
             Done<uint32_t> done) override {
      tasks_.Run(ctx, id, std::move(options), std::move(done));
    }

   private:
    TaskControl& tasks_;
  };

  gantry::testing::TempDir dir_;
  base::SystemClock clock_;
  std::unique_ptr<metadata::Metadata> metadata_ = *metadata::Metadata::Open(
      {.db = {.path = dir_.path() / "db", .map_size_bytes = 16 << 20, .no_sync = true}}, clock_);
  events::Exchange exchange_{clock_};
  containers::ContainerStore containers_{*metadata_, exchange_};
  std::unique_ptr<Loop> loop_ = *Loop::Start("test");
  base::WorkerPool workers_{"test", 2, 64};
  testing::FakeTasks tasks_;
  std::unique_ptr<Monitor> monitor_;
};

TEST_F(MonitorTest, StartsInEveryNamespaceWhatShouldRun) {
  Add("a", "c", Running());
  Add("b", "c", Running());
  Add("b", "unwatched", {});
  StartMonitor();
  ASSERT_TRUE(tasks_.Await("run a/c"));
  ASSERT_TRUE(tasks_.Await("run b/c"));
  EXPECT_EQ(tasks_.Count("get b/unwatched"), 0);
  EXPECT_EQ(CountOf("a", "c"), "1");
  EXPECT_EQ(tasks_.OptionsOf("a/c").runtime, "io.r.v2");
  EXPECT_EQ(tasks_.OptionsOf("a/c").spec->value(), "{}");
}

TEST_F(MonitorTest, ReplacesATaskThatEndedAndCountsIt) {
  Labels labels = Running("on-failure:3");
  labels[std::string(kLogUriLabel)] = "file:///log";
  Add("a", "c", labels, R"({"process":{"terminal":true}})");
  tasks_.SetTask("a/c", Status::kStopped, 1);
  StartMonitor();
  ASSERT_TRUE(tasks_.Await("run a/c"));
  EXPECT_THAT(tasks_.Changes(), ElementsAre("delete a/c", "run a/c"));
  EXPECT_EQ(CountOf("a", "c"), "1");
  EXPECT_EQ(tasks_.OptionsOf("a/c").stdio.out, "file:///log");
  EXPECT_TRUE(tasks_.OptionsOf("a/c").stdio.terminal);
}

TEST_F(MonitorTest, DeletesATaskThatCannotBeKilled) {
  Add("a", "c", Running());
  tasks_.SetTask("a/c", Status::kCreated);
  tasks_.Fail("kill a/c", NotFound("process already finished"));
  StartMonitor();
  ASSERT_TRUE(tasks_.Await("run a/c"));
  EXPECT_THAT(tasks_.Changes(), ElementsAre("kill a/c", "delete a/c", "run a/c"));
}

TEST_F(MonitorTest, StopsWhatShouldNotRun) {
  Add("a", "c", {{std::string(kStatusLabel), "stopped"}});
  tasks_.SetTask("a/c", Status::kRunning);
  StartMonitor();
  ASSERT_TRUE(tasks_.Await("delete a/c"));
  AddProbe();
  AwaitPasses();
  EXPECT_EQ(tasks_.StatusOf("a/c"), std::nullopt);
  EXPECT_THAT(tasks_.Changes(), ElementsAre("kill a/c", "wait a/c", "delete a/c"));
  EXPECT_EQ(CountOf("a", "c"), "");
}

TEST_F(MonitorTest, RespectsAnExplicitStop) {
  Labels labels = Running("unless-stopped");
  labels[std::string(kExplicitlyStoppedLabel)] = "true";
  Add("a", "c", labels);
  tasks_.SetTask("a/c", Status::kStopped);
  AddProbe();
  StartMonitor();
  AwaitPasses();
  EXPECT_THAT(tasks_.Changes(), IsEmpty());
}

TEST_F(MonitorTest, AHangingContainerDelaysNoOther) {
  for (const char* verb : {"get", "kill", "wait", "delete", "run"}) {
    const std::string stuck = std::string("stuck-") + verb;
    Add("a", stuck, Running());
    const bool killed = std::string_view(verb) == "kill" || std::string_view(verb) == "wait";
    tasks_.SetTask("a/" + stuck, killed ? Status::kCreated : Status::kStopped);
    tasks_.Hang(std::string(verb) + " a/" + stuck);
  }
  Add("a", "z", Running());
  StartMonitor();
  ASSERT_TRUE(tasks_.AwaitStatus("a/z", Status::kRunning));
  for (const char* verb : {"get", "kill", "wait", "delete", "run"}) {
    ASSERT_TRUE(tasks_.Await(std::string(verb) + " a/stuck-" + verb));
  }
  tasks_.SetTask("a/z", Status::kStopped);
  ASSERT_TRUE(tasks_.Await("run a/z", 2));
  // And it is not begun again while it hangs.
  EXPECT_EQ(tasks_.Count("get a/stuck-get"), 1);
  EXPECT_EQ(tasks_.Count("run a/stuck-run"), 1);
  tasks_.Release("get a/stuck-get");
  EXPECT_TRUE(tasks_.Await("run a/stuck-get"));
  for (const char* verb : {"kill", "wait", "delete", "run"}) {
    tasks_.Release(std::string(verb) + " a/stuck-" + verb);
    EXPECT_TRUE(tasks_.AwaitStatus(std::string("a/stuck-") + verb, Status::kRunning));
  }
}

TEST_F(MonitorTest, LeavesATaskWhoseStateItCannotTell) {
  Add("a", "late", Running());
  tasks_.SetTask("a/late", Status::kStopped);
  tasks_.Fail("get a/late", absl::DeadlineExceededError("context deadline exceeded"));
  Add("a", "odd", Running());
  tasks_.SetTask("a/odd", Status::kUnknown);
  AddProbe();
  StartMonitor();
  AwaitPasses();
  EXPECT_THAT(tasks_.Changes(), IsEmpty());
}

TEST_F(MonitorTest, LeavesATaskToItsClientForAPass) {
  Add("a", "c", Running());
  tasks_.SetTask("a/c", Status::kCreated);
  tasks_.Hang("kill a/c");  // nobody looks again meanwhile
  StartMonitor();
  ASSERT_TRUE(tasks_.Await("kill a/c"));
  EXPECT_EQ(tasks_.Count("get a/c"), kTwice);
  tasks_.Release("kill a/c");
  ASSERT_TRUE(tasks_.Await("run a/c"));
}

TEST_F(MonitorTest, TriesAgainAfterAFailure) {
  Add("a", "c", Running());
  tasks_.Fail("run a/c", Unavailable("no shim"));
  StartMonitor();
  ASSERT_TRUE(tasks_.Await("run a/c", 2));
}

// The task whose failure it was is gone by then.
TEST_F(MonitorTest, TriesAgainAfterAFailureToReplaceAFailedTask) {
  Add("a", "c", Running("on-failure:1"));
  tasks_.SetTask("a/c", Status::kStopped, 1);
  tasks_.Fail("run a/c", Unavailable("no shim"));
  StartMonitor();
  ASSERT_TRUE(tasks_.Await("run a/c", 3));
  EXPECT_EQ(CountOf("a", "c"), "1");
  EXPECT_EQ(tasks_.Count("delete a/c"), 1);
}

TEST_F(MonitorTest, ASnapshotThatCannotBeMountedStartsNothing) {
  containers::Container container{.id = "c", .labels = Running(), .runtime_name = "io.r.v2"};
  container.spec.emplace();
  container.spec->set_type_url("spec");
  container.snapshotter = "none";
  container.snapshot_key = "k";
  ASSERT_THAT(containers_.Create({.ns = "a"}, container), IsOk());
  tasks_.SetTask("a/c", Status::kStopped);
  AddProbe();
  StartMonitor();
  AwaitPasses();
  EXPECT_THAT(tasks_.Changes(), IsEmpty());
  EXPECT_EQ(CountOf("a", "c"), "");
}

TEST_F(MonitorTest, TriesAgainWhatWasGivenUp) {
  Add("a", "c", Running());
  tasks_.Hang("run a/c");
  StartMonitor();
  ASSERT_TRUE(tasks_.Await("run a/c"));
  tasks_.Fail("run a/c", absl::DeadlineExceededError("context deadline exceeded"));
  tasks_.SetTask("a/c", Status::kStopped);
  tasks_.Release("run a/c");
  EXPECT_TRUE(tasks_.Await("run a/c", 2));
}

TEST_F(MonitorTest, StartsNothingOnceItStops) {
  Add("a", "c", Running());
  tasks_.Hang("run a/c");
  Add("b", "c", Running());
  tasks_.SetTask("b/c", Status::kStopped);
  tasks_.Hang("delete b/c");
  StartMonitor();
  ASSERT_TRUE(tasks_.Await("run a/c"));
  ASSERT_TRUE(tasks_.Await("delete b/c"));
  monitor_->Stop();
  Add("a", "late", Running());
  tasks_.Release("run a/c");
  tasks_.Release("delete b/c");
  absl::SleepFor(absl::Milliseconds(100));  // ten intervals
  EXPECT_EQ(tasks_.Count("run a/c"), 1);
  EXPECT_EQ(tasks_.Count("run b/c"), 0);
  EXPECT_EQ(tasks_.Count("get a/late"), 0);
}

TEST_F(MonitorTest, ANewOneGoesOnFromTheLabels) {
  Add("a", "c", Running("on-failure:2"));
  tasks_.SetTask("a/c", Status::kStopped, 1);
  StartMonitor();
  ASSERT_TRUE(tasks_.AwaitStatus("a/c", Status::kRunning));
  monitor_.reset();
  tasks_.SetTask("a/c", Status::kStopped, 1);
  StartMonitor();
  ASSERT_TRUE(tasks_.AwaitStatus("a/c", Status::kRunning));
  EXPECT_EQ(CountOf("a", "c"), "2");
  tasks_.SetTask("a/c", Status::kStopped, 1);
  AddProbe();
  AwaitPasses();
  EXPECT_EQ(tasks_.Count("run a/c"), 2);
}

}  // namespace
}  // namespace gantry::runtime::restart
