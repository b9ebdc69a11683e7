// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/task_stats.h"

#include <unistd.h>

#include "core/kernel/subprocess.h"
#include "core/runtime/testing/fake_shim.h"
#include "core/runtime/testing/task_fixture.h"

namespace gantry::runtime {
namespace {

namespace fs = std::filesystem;
namespace pb = ::containerd::task::v3;
using ::gantry::testing::IsOk;

class TaskStatsTest : public testing::TaskFixture {
 protected:
  void SetUp() override {
    const auto place = FindCgroup(::getpid());
    if (!place.ok()) GTEST_SKIP() << "no cgroup file system here: " << place.status();
    // One that is known to count by the files.
    fs::rename(shim_.program(), program_);
    auto process =
        kernel::Subprocess::Spawn({.program = "/bin/sleep", .arguments = {"sleep", "1000"}});
    ASSERT_TRUE(process.ok());
    process_.emplace(*std::move(process));
    shim_.On("Create", [this](const std::string&) -> testing::FakeShim::Answer {
      pb::CreateTaskResponse response;
      response.set_pid(static_cast<uint32_t>(process_->pid()));
      return response.SerializeAsString();
    });
    CreateOptions options;
    options.runtime = program_.string();
    ASSERT_THAT(Create("c1", options), IsOk());
  }
  size_t CountMetrics() {
    const auto metrics = Sync<std::vector<TaskMetric>>([&](Done<std::vector<TaskMetric>> done) {
      tasks_->Metrics(
          ctx_, [](const std::string&) { return true; }, std::move(done));
    });
    return metrics.ok() ? metrics->size() : 0;
  }

  testing::FakeShim shim_{dir_.path() / "shim"};
  const fs::path program_ = dir_.path() / "containerd-shim-runc-v2";
  std::optional<kernel::Subprocess> process_;
};

TEST_F(TaskStatsTest, TheCgroupIsThatWhichTheProcessWasMadeIn) {
  process_.reset();  // wherever it has gone
  EXPECT_EQ(CountMetrics(), 1U);
  EXPECT_EQ(shim_.CountCalls("Stats"), 0U);
}

TEST_F(TaskStatsTest, OnlyTheShimKnowsTheCgroupOfAProcessThatAnEarlierDaemonMade) {
  RestartManager();
  ASSERT_THAT(Get("c1"), IsOk());
  CountMetrics();
  EXPECT_EQ(shim_.CountCalls("Stats"), 1U);
}

}  // namespace
}  // namespace gantry::runtime
