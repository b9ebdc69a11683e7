// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/cgroup_metrics.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/kernel/cgroup.h"
#include "core/kernel/testing/require.h"
#include "core/runtime/cgroup_files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/cgroups/v1/metrics.pb.h"
#include "proto/cgroups/v2/metrics.pb.h"

namespace gantry::runtime {
namespace {

namespace fs = std::filesystem;
using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::gantry::testing::TempDir;
using ::testing::ElementsAre;

class CgroupMetricsTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(dir_.path() / name) << text;
  }
  CgroupPlace V1() const {
    CgroupPlace place;
    for (const char* controller : {"pids", "cpu", "cpuacct", "memory", "blkio", "rdma"}) {
      place.controllers[controller] = dir_.path();
    }
    return place;
  }

  TempDir dir_;
};

TEST_F(CgroupMetricsTest, NumbersHaveTheirOddities) {
  EXPECT_EQ(ParseNumber("12\n", 7), 12U);
  EXPECT_EQ(ParseNumber("max\n", 7), 7U);
  EXPECT_EQ(ParseNumber("-3", 7), 0U);
  EXPECT_EQ(ParseNumber("x", 7), std::nullopt);
  EXPECT_EQ(ParseNumber("", 7), std::nullopt);
  EXPECT_EQ(ReadNumber(dir_.path(), "absent", 7), 0U);
}

TEST_F(CgroupMetricsTest, PageSizesAreSpeltAsInFileNames) {
  fs::create_directories(dir_.path() / "hugepages-2048kB");
  fs::create_directories(dir_.path() / "hugepages-1048576kB");
  fs::create_directories(dir_.path() / "hugepages-64kB");
  EXPECT_THAT(HugePageSizes(dir_.path()), ElementsAre("1GB", "2MB", "64KB"));
}

TEST_F(CgroupMetricsTest, ReadsVersion2) {
  Write("pids.current", "3\n");
  Write("pids.max", "max\n");
  Write("cpu.stat", "usage_usec 100\nuser_usec 60\nsystem_usec 40\nnr_bursts 2\nnew_key 9\n");
  Write("memory.stat", "anon 4096\nfile 8192\nthp_collapse_alloc 5\n");
  Write("memory.current", "12288\n");
  Write("memory.max", "1048576\n");
  Write("memory.swap.max", "max\n");
  Write("memory.peak", "20000\n");
  Write("memory.events", "low 0\nhigh 1\nmax 2\noom 3\noom_kill 4\noom_group_kill 5\n");
  Write("io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n8:16 \n");
  Write("io.pressure",
        "some avg10=1.50 avg60=0.25 avg300=0.00 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 "
        "total=6\n");
  Write("rdma.current", "mlx4_0 hca_handle=2 hca_object=2000\n");
  Write("rdma.max", "mlx4_0 hca_handle=max hca_object=9\n");
  const auto metrics = ReadCgroupV2(dir_.path());
  EXPECT_EQ(metrics.pids().current(), 3U);
  EXPECT_EQ(metrics.pids().limit(), UINT64_MAX);
  EXPECT_EQ(metrics.cpu().user_usec(), 60U);
  EXPECT_EQ(metrics.cpu().nr_bursts(), 2U);
  EXPECT_FALSE(metrics.cpu().has_psi());
  EXPECT_EQ(metrics.memory().file(), 8192U);
  EXPECT_EQ(metrics.memory().thp_collapse_alloc(), 5U);
  EXPECT_EQ(metrics.memory().usage_limit(), 1048576U);
  EXPECT_EQ(metrics.memory().swap_limit(), UINT64_MAX);
  EXPECT_EQ(metrics.memory().max_usage(), 20000U);
  EXPECT_EQ(metrics.memory().swap_max_usage(), 0U);
  EXPECT_EQ(metrics.memory_events().oom_kill(), 4U);
  ASSERT_EQ(metrics.io().usage_size(), 1);
  EXPECT_EQ(metrics.io().usage(0).minor(), 0U);
  EXPECT_EQ(metrics.io().usage(0).wios(), 4U);
  EXPECT_DOUBLE_EQ(metrics.io().psi().some().avg10(), 1.5);
  EXPECT_EQ(metrics.io().psi().full().total(), 6U);
  EXPECT_EQ(metrics.rdma().current(0).hca_objects(), 2000U);
  EXPECT_EQ(metrics.rdma().limit(0).hca_handles(), UINT32_MAX);
}

TEST_F(CgroupMetricsTest, AbsentFilesOfVersion2CountAsNothing) {
  const auto metrics = ReadCgroupV2(dir_.path());
  EXPECT_EQ(metrics.pids().current(), 0U);
  EXPECT_TRUE(metrics.has_memory());
  EXPECT_FALSE(metrics.has_memory_events());
}

TEST_F(CgroupMetricsTest, ReadsVersion1) {
  Write("pids.current", "3\n");
  Write("pids.max", "max\n");
  Write("cpu.stat", "nr_periods 1\nnr_throttled 2\nthrottled_time 3\n");
  Write("cpuacct.usage", "1000\n");
  Write("cpuacct.stat", "user 2\nsystem 3\n");
  Write("cpuacct.usage_percpu", "400 600 \n");
  Write("memory.stat", "cache 1\npgpgin 2\nhierarchical_memsw_limit 3\ntotal_unevictable 4\n");
  Write("memory.usage_in_bytes", "5\n");
  Write("memory.limit_in_bytes", "9223372036854771712\n");
  Write("memory.memsw.failcnt", "6\n");
  Write("memory.kmem.tcp.max_usage_in_bytes", "7\n");
  Write("memory.oom_control", "oom_kill_disable 0\nunder_oom 1\noom_kill 2\n");
  Write("blkio.throttle.io_serviced", "8:0 Read 4\n8:0 Write 5\n8:0 Total 9\nTotal 9\n");
  Write("blkio.throttle.io_service_bytes", "8:0 Read 4096\nTotal 4096\n");
  const auto metrics = ReadCgroupV1(V1());
  EXPECT_EQ(metrics.pids().current(), 3U);
  EXPECT_EQ(metrics.pids().limit(), 0U);
  EXPECT_EQ(metrics.cpu().throttling().throttled_time(), 3U);
  EXPECT_EQ(metrics.cpu().usage().user(), 20'000'000U);
  EXPECT_EQ(metrics.cpu().usage().kernel(), 30'000'000U);
  EXPECT_THAT(metrics.cpu().usage().per_cpu(), ElementsAre(400, 600));
  EXPECT_EQ(metrics.memory().pg_pg_in(), 2U);
  EXPECT_EQ(metrics.memory().hierarchical_swap_limit(), 3U);
  EXPECT_EQ(metrics.memory().total_unevictable(), 4U);
  EXPECT_EQ(metrics.memory().usage().usage(), 5U);
  EXPECT_EQ(metrics.memory().usage().limit(), 9223372036854771712U);
  EXPECT_EQ(metrics.memory().swap().failcnt(), 6U);
  EXPECT_EQ(metrics.memory().kernel_tcp().max(), 7U);
  EXPECT_EQ(metrics.memory_oom_control().oom_kill(), 2U);
  ASSERT_EQ(metrics.blkio().io_serviced_recursive_size(), 3);
  EXPECT_EQ(metrics.blkio().io_serviced_recursive(1).op(), "Write");
  EXPECT_EQ(metrics.blkio().io_serviced_recursive(1).value(), 5U);
  // The scheduler's own counts win where they exist.
  Write("blkio.io_serviced_recursive", "8:0 Read 77\n");
  EXPECT_EQ(ReadCgroupV1(V1()).blkio().io_serviced_recursive(0).value(), 77U);
}

TEST_F(CgroupMetricsTest, FindsOurOwnCgroup) {
  if (!kernel::DetectCgroupMode()) return ::gantry::testing::SkipFor("cgroups");
  const auto place = FindCgroup(::getpid());
  ASSERT_THAT(place, IsOk());
  const auto metrics = ReadCgroupMetrics(*place);
  ASSERT_THAT(metrics, IsOk());
  if (place->unified) {
    EXPECT_EQ(metrics->type_url(), "io.containerd.cgroups.v2.Metrics");
    io::containerd::cgroups::v2::Metrics read;
    ASSERT_TRUE(read.ParseFromString(metrics->value()));
    EXPECT_GT(read.cpu().usage_usec(), 0U);
  } else {
    EXPECT_EQ(metrics->type_url(), "io.containerd.cgroups.v1.Metrics");
    io::containerd::cgroups::v1::Metrics read;
    ASSERT_TRUE(read.ParseFromString(metrics->value()));
    EXPECT_GT(read.cpu().usage().total(), 0U);
  }
}

TEST_F(CgroupMetricsTest, ACgroupThatIsGoneIsNotFound) {
  CgroupPlace place{.unified = true, .directory = dir_.path() / "gone"};
  EXPECT_THAT(ReadCgroupMetrics(place), StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace gantry::runtime
