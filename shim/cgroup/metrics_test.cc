// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/base/testing/temp_dir.h"
#include "core/kernel/file.h"
#include "core/kernel/testing/matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shim/cgroup/location.h"
#include "shim/cgroup/metrics_v1.h"
#include "shim/cgroup/metrics_v2.h"
#include "shim/cgroup/placement.h"
#include "shim/cgroup/stat_file.h"
#include "shim/messages/codec.h"

namespace gantry::shim::cgroup {
namespace {

using gantry::testing::FailsWith;
using gantry::testing::Succeeds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A tree of files in the place of /proc, /sys/fs/cgroup and what else is read.
class CgroupFilesTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& content) {
    const std::string path = base_ + "/" + name;
    ASSERT_THAT(kernel::MakeDirectories(path.substr(0, path.rfind('/')), 0755), Succeeds());
    ASSERT_THAT(kernel::WriteFileAtomic(path, content, 0644, kernel::Durability::kNone),
                Succeeds());
  }
  std::string Read(const std::string& name) const {
    return ReadStatFile(base_ + "/" + name).value_or("(none)");
  }
  Roots MakeRoots(bool unified) const {
    return {.proc = base_ + "/proc",
            .cgroup = base_ + "/cg",
            .huge_pages = base_ + "/huge",
            .unified = unified};
  }
  void WriteProcess(int pid, const std::string& cgroups, char state = 'S') {
    const std::string in = "proc/" + std::to_string(pid);
    Write(in + "/cgroup", cgroups);
    Write(in + "/stat", std::to_string(pid) + " (a) Z b) " + state + " 1 1");
  }

  gantry::testing::TempDir dir_;
  std::string base_ = dir_.path();
};

TEST(StatFileTest, NumbersFollowTheRules) {
  EXPECT_EQ(ParseNumber("42"), 42U);
  EXPECT_EQ(ParseNumber("max"), UINT64_MAX);
  EXPECT_EQ(ParseNumber("-1"), 0U);
  EXPECT_EQ(ParseNumber("99999999999999999999999"), UINT64_MAX);
  for (const char* bad : {"", "-", "x", "4x", " 4", "--1"}) EXPECT_FALSE(ParseNumber(bad)) << bad;
}

TEST(StatFileTest, FractionsAreTheNearestDouble) {
  EXPECT_EQ(ParseFraction("12.34"), 12.34);
  EXPECT_EQ(ParseFraction("0.07"), 0.07);
  EXPECT_EQ(ParseFraction("100"), 100.0);
  EXPECT_EQ(ParseFraction("1.2.3"), 0.0);
  EXPECT_EQ(ParseFraction(""), 0.0);
}

TEST_F(CgroupFilesTest, HugePageSizesAreSpeltAsInCgroupFiles) {
  for (const char* size : {"2048kB", "1048576kB", "64kB"}) {
    Write(std::string("huge/hugepages-") + size + "/nr_hugepages", "0");
  }
  EXPECT_THAT(HugePageSizes(base_ + "/huge"), ElementsAre("1GB", "2MB", "64KB"));
  EXPECT_THAT(HugePageSizes(base_ + "/none"), IsEmpty());
}

TEST_F(CgroupFilesTest, VersionTwoFiguresAreThoseOfTheFiles) {
  Write("c/pids.current", "3\n");
  Write("c/pids.max", "max\n");
  Write("c/cpu.stat", "usage_usec 7\nuser_usec 5\nsystem_usec 2\nnr_periods 9\nburst_usec 4\n");
  Write("c/cpu.pressure", "some avg10=1.50 avg60=0.25 avg300=0.00 total=77\n");
  Write("c/memory.stat", "anon 10\nfile 20\nfile_mapped 30\nthp_collapse_alloc 40\nslab -1\n");
  Write("c/memory.current", "4096\n");
  Write("c/memory.swap.max", "max\n");
  Write("c/memory.peak", "8192\n");
  Write("c/memory.events", "low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill 6\n");
  Write("c/io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n7:0\n");
  Write("c/rdma.current", "mlx4_0 hca_handle=2 hca_object=2000\n");
  Write("c/rdma.max", "mlx4_0 hca_handle=max hca_object=10\n");
  Write("c/hugetlb.2MB.current", "2097152\n");
  Write("c/hugetlb.2MB.max", "max\n");
  Write("c/hugetlb.2MB.events", "max 8\n");
  const auto metrics = ReadMetricsV2(base_ + "/c", {"2MB"});
  EXPECT_EQ(metrics.pids->current, 3U);
  EXPECT_EQ(metrics.pids->limit, UINT64_MAX);
  EXPECT_EQ(metrics.cpu->usage_usec, 7U);
  EXPECT_EQ(metrics.cpu->nr_periods, 9U);
  EXPECT_EQ(metrics.cpu->burst_usec, 4U);
  EXPECT_EQ(metrics.cpu->psi->some->avg10, 1.5);
  EXPECT_EQ(metrics.cpu->psi->some->total, 77U);
  EXPECT_FALSE(metrics.cpu->psi->full);
  EXPECT_EQ(metrics.memory->file, 20U);
  EXPECT_EQ(metrics.memory->file_mapped, 30U);
  EXPECT_EQ(metrics.memory->slab, 0U);
  EXPECT_EQ(metrics.memory->thp_collapse_alloc, 40U);
  EXPECT_EQ(metrics.memory->usage, 4096U);
  EXPECT_EQ(metrics.memory->swap_limit, UINT64_MAX);
  EXPECT_EQ(metrics.memory->max_usage, 8192U);
  EXPECT_FALSE(metrics.memory->psi);
  EXPECT_EQ(metrics.memory_events->oom_kill, 5U);
  EXPECT_EQ(metrics.memory_events->oom_group_kill, 6U);
  ASSERT_EQ(metrics.io->usage.size(), 1U);
  EXPECT_EQ(metrics.io->usage[0].major, 8U);
  EXPECT_EQ(metrics.io->usage[0].wios, 4U);
  EXPECT_EQ(metrics.rdma->current.at(0).hca_objects, 2000U);
  EXPECT_EQ(metrics.rdma->limit.at(0).hca_handles, UINT32_MAX);
  ASSERT_EQ(metrics.hugetlb.size(), 1U);
  EXPECT_EQ(metrics.hugetlb[0].current, 2097152U);
  EXPECT_EQ(metrics.hugetlb[0].failcnt, 8U);
}

TEST_F(CgroupFilesTest, VersionOneFiguresAreThoseOfTheFiles) {
  Write("c/cpuacct.usage", "1234\n");
  Write("c/cpuacct.stat", "user 3\nsystem 4\n");
  Write("c/cpuacct.usage_percpu", "1000 234 \n");
  Write("c/cpu.stat", "nr_periods 1\nnr_throttled 2\nthrottled_time 3\n");
  Write("c/memory.stat", "cache 5\npgpgin 6\nhierarchical_memsw_limit 7\ntotal_unevictable 8\n");
  Write("c/memory.usage_in_bytes", "9\n");
  Write("c/memory.kmem.tcp.failcnt", "10\n");
  Write("c/memory.oom_control", "oom_kill_disable 0\nunder_oom 1\noom_kill 2\n");
  Write("c/blkio.io_serviced_recursive", "Total 0\n");
  Write("c/blkio.throttle.io_serviced", "8:0 Read 11\n8:0 Write 12\nTotal 23\n");
  Write("partitions", "major minor  #blocks  name\n\n   8        0  1048576 sda\n");
  Write("c/hugetlb.2MB.max_usage_in_bytes", "13\n");
  const SourcesV1 sources{.directory_of =
                              [this](std::string_view controller) {
                                return controller == "pids" ? std::string() : base_ + "/c";
                              },
                          .huge_page_sizes = {"2MB"},
                          .partitions = base_ + "/partitions"};
  const auto metrics = ReadMetricsV1(sources);
  EXPECT_FALSE(metrics.pids);
  EXPECT_EQ(metrics.cpu->usage->total, 1234U);
  EXPECT_EQ(metrics.cpu->usage->kernel, 40'000'000U);
  EXPECT_EQ(metrics.cpu->usage->user, 30'000'000U);
  EXPECT_THAT(metrics.cpu->usage->per_cpu, ElementsAre(1000, 234));
  EXPECT_EQ(metrics.cpu->throttling->throttled_time, 3U);
  EXPECT_EQ(metrics.memory->pg_pg_in, 6U);
  EXPECT_EQ(metrics.memory->hierarchical_swap_limit, 7U);
  EXPECT_EQ(metrics.memory->total_unevictable, 8U);
  EXPECT_EQ(metrics.memory->usage->usage, 9U);
  EXPECT_EQ(metrics.memory->swap->usage, 0U);
  EXPECT_EQ(metrics.memory->kernel_tcp->failcnt, 10U);
  EXPECT_EQ(metrics.memory_oom_control->oom_kill, 2U);
  const auto& serviced = metrics.blkio->io_serviced_recursive;
  ASSERT_EQ(serviced.size(), 2U);
  EXPECT_EQ(serviced[1].op, "Write");
  EXPECT_EQ(serviced[1].device, "/dev/sda");
  EXPECT_EQ(serviced[1].value, 12U);
  EXPECT_EQ(metrics.hugetlb.at(0).max, 13U);
}

TEST_F(CgroupFilesTest, FiguresOfTheSchedulerComeBeforeThoseOfThrottling) {
  Write("c/blkio.sectors_recursive", "8:16 512\n");
  Write("c/blkio.throttle.io_serviced", "8:16 Read 11\n");
  const SourcesV1 sources{.directory_of = [this](std::string_view) { return base_ + "/c"; },
                          .huge_page_sizes = {},
                          .partitions = ""};
  const auto metrics = ReadMetricsV1(sources);
  EXPECT_EQ(metrics.blkio->sectors_recursive.at(0).value, 512U);
  EXPECT_EQ(metrics.blkio->sectors_recursive.at(0).op, "");
  EXPECT_THAT(metrics.blkio->io_serviced_recursive, IsEmpty());
}

TEST_F(CgroupFilesTest, VersionOneHasNoLimitOfProcessesAs0) {
  const SourcesV1 sources{.directory_of = [this](std::string_view) { return base_ + "/c"; },
                          .huge_page_sizes = {},
                          .partitions = ""};
  Write("c/pids.current", "3\n");
  Write("c/pids.max", "max\n");
  auto metrics = ReadMetricsV1(sources);
  EXPECT_EQ(metrics.pids->current, 3U);
  EXPECT_EQ(metrics.pids->limit, 0U);
  Write("c/pids.max", "64\n");
  metrics = ReadMetricsV1(sources);
  EXPECT_EQ(metrics.pids->limit, 64U);
}

TEST_F(CgroupFilesTest, AVanishedCgroupHasEmptyFigures) {
  const auto two = ReadMetricsV2(base_ + "/gone", {});
  EXPECT_TRUE(two.pids && two.cpu && two.memory && two.io && two.rdma);
  EXPECT_FALSE(two.memory_events);
  EXPECT_FALSE(two.cpu->psi);
  const auto one = ReadMetricsV1({.directory_of = [](std::string_view) { return std::string(); },
                                  .huge_page_sizes = {},
                                  .partitions = ""});
  EXPECT_TRUE(one.cpu && one.cpu->usage && one.cpu->throttling);
  EXPECT_FALSE(one.memory || one.pids || one.blkio || one.rdma);
}

TEST_F(CgroupFilesTest, VersionTwoIsFoundByItsLine) {
  WriteProcess(7, "1:name=systemd:/s\n0::/pod/c\n");
  Write("proc/self/cgroup", "0::/shims\n");
  Write("cg/pod/c/cgroup.procs", "9\n7\n0\n");
  Write("cg/pod/c/below/deep/cgroup.procs", "12\n7\n");
  Write("cg/pod/c/pids.current", "3\n");
  Write("cg/pod/c/cgroup.kill", "");
  auto location = Location::Of(7, MakeRoots(true));
  ASSERT_THAT(location, Succeeds());
  EXPECT_TRUE(location->unified());
  EXPECT_EQ(location->DirectoryOf("memory"), base_ + "/cg/pod/c");
  EXPECT_THAT(*location->Pids(), ElementsAre(7, 9, 12));
  const auto packed = location->Metrics();
  EXPECT_EQ(packed.type_url, "io.containerd.cgroups.v2.Metrics");
  EXPECT_EQ(packed.value.substr(0, 4), std::string("\x0a\x02\x08\x03"));  // pids { current: 3 }
  EXPECT_THAT(location->KillAll(), Succeeds());
  EXPECT_EQ(Read("cg/pod/c/cgroup.kill"), "1");
}

TEST_F(CgroupFilesTest, VersionOneHasADirectoryForEachController) {
  WriteProcess(7,
               "5:cpu,cpuacct:/a:b\n4:memory:/m\n3:name=systemd:/s\n2:pids:/p\n1:rdma:/r\n0::/x\n");
  Write("cg/cpu,cpuacct/a:b/cpu.stat", "");
  ASSERT_EQ(::symlink("cpu,cpuacct", (base_ + "/cg/cpuacct").c_str()), 0);
  Write("cg/memory/m/memory.stat", "");
  Write("cg/pids/p/cgroup.procs", "8\n");
  auto location = Location::Of(7, MakeRoots(false));
  ASSERT_THAT(location, Succeeds());
  EXPECT_FALSE(location->unified());
  EXPECT_TRUE(ReadStatFile(location->DirectoryOf("cpu") + "/cpu.stat"));
  EXPECT_EQ(location->DirectoryOf("memory"), base_ + "/cg/memory/m");
  EXPECT_EQ(location->DirectoryOf("rdma"), "");  // not mounted
  EXPECT_THAT(*location->Pids(), ElementsAre(8));
  EXPECT_EQ(location->Metrics().type_url, "io.containerd.cgroups.v1.Metrics");
}

TEST_F(CgroupFilesTest, ProcessesWithoutACgroupAreRefused) {
  WriteProcess(7, "0::/c\n", 'Z');
  WriteProcess(8, "0::/../other\n");
  WriteProcess(9, "nonsense\n");
  EXPECT_THAT(Location::Of(7, MakeRoots(true)), FailsWith(ESRCH));
  EXPECT_THAT(Location::Of(8, MakeRoots(true)), FailsWith(EINVAL));
  EXPECT_THAT(Location::Of(9, MakeRoots(true)), FailsWith(EINVAL));
  EXPECT_THAT(Location::Of(10, MakeRoots(true)), FailsWith(ENOENT));
}

TEST_F(CgroupFilesTest, NothingIsKilledInTheRootOrAboveOurselves) {
  Write("proc/self/cgroup", "0::/pod/shim\n");
  WriteProcess(7, "0::/\n");
  WriteProcess(8, "0::/pod\n");
  WriteProcess(9, "0::/pod/shim\n");
  WriteProcess(10, "0::/pod/sh\n");
  for (const char* path : {"", "/pod", "/pod/shim", "/pod/sh"}) {
    Write(std::string("cg") + path + "/cgroup.kill", "");
  }
  for (const int pid : {7, 8, 9}) {
    EXPECT_THAT(Location::Of(pid, MakeRoots(true))->KillAll(), FailsWith(EINVAL)) << pid;
  }
  for (const char* path : {"", "/pod", "/pod/shim"}) {
    EXPECT_EQ(Read(std::string("cg") + path + "/cgroup.kill"), "");
  }
  EXPECT_THAT(Location::Of(10, MakeRoots(true))->KillAll(), Succeeds());
}

TEST_F(CgroupFilesTest, JoiningWritesTheProcessWhereTheCgroupIs) {
  Write("proc/self/cgroup", "3:cpu:/\n2:memory:/\n1:pids:/\n");
  Write("cg/cpu/shims/cgroup.procs", "");
  Write("cg/memory/shims/cgroup.procs", "");
  Write("cg/pids/cgroup.procs", "");
  EXPECT_THAT(JoinCgroup(42, "/shims", MakeRoots(false)), Succeeds());
  EXPECT_EQ(Read("cg/cpu/shims/cgroup.procs"), "42");
  EXPECT_EQ(Read("cg/memory/shims/cgroup.procs"), "42");
  const auto missing = JoinCgroup(42, "/none", MakeRoots(false));
  ASSERT_THAT(missing, FailsWith(ENOENT));
  EXPECT_THAT(missing.error().Text(), ::testing::HasSubstr("/none"));
  EXPECT_THAT(JoinCgroup(42, "/a/../shims", MakeRoots(false)), FailsWith(EINVAL));
}

TEST_F(CgroupFilesTest, ControllersAreEnabledInEachAncestor) {
  WriteProcess(7, "0::/pod/c\n");
  Write("cg/cgroup.controllers", "memory\n");
  for (const char* path : {"", "/pod", "/pod/c"}) {
    Write(std::string("cg") + path + "/cgroup.subtree_control", "");
  }
  EnableControllers(*Location::Of(7, MakeRoots(true)));
  EXPECT_EQ(Read("cg/cgroup.subtree_control"), "+memory");
  EXPECT_EQ(Read("cg/pod/cgroup.subtree_control"), "+memory");
  EXPECT_EQ(Read("cg/pod/c/cgroup.subtree_control"), "");
}

}  // namespace
}  // namespace gantry::shim::cgroup
