// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/cgroup_remains.h"

#include <filesystem>

#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "gtest/gtest.h"

namespace gantry::runtime {
namespace {

using ::gantry::testing::IsOk;
namespace fs = std::filesystem;

TEST(CgroupRemainsTest, PathIsThatOfTheSpec) {
  EXPECT_EQ(CgroupsPathOf(R"({"linux":{"cgroupsPath":"/ns/id"}})"), "ns/id");
  EXPECT_EQ(CgroupsPathOf(R"({"linux":{"cgroupsPath":"/ns/../../id"}})"), "id");
  for (const char* spec :
       {"", "[]", "{}", R"({"linux":[]})", R"({"linux":{}})", R"({"linux":{"cgroupsPath":7}})",
        R"({"linux":{"cgroupsPath":""}})", R"({"linux":{"cgroupsPath":"/"}})",
        R"({"linux":{"cgroupsPath":"relative/path"}})",
        R"({"linux":{"cgroupsPath":"machine.slice:runc:id"}})"}) {
    EXPECT_EQ(CgroupsPathOf(spec), std::nullopt) << spec;
  }
}

// Directories stand for the trees of version 1; one that is not empty stands for one in use.
TEST(CgroupRemainsTest, LeafGoesFromEveryTreeAndNothingElse) {
  const testing::TempDir root;
  for (const char* path : {"cpu,cpuacct/ns/id", "memory/ns/id", "memory/ns/other", "pids/ns"})
    fs::create_directories(root.path() / path);
  fs::create_directory_symlink("cpu,cpuacct", root.path() / "cpu");
  EXPECT_THAT(RemoveCgroups("ns/id", absl::ZeroDuration(), root.path().string()), IsOk());
  EXPECT_TRUE(fs::exists(root.path() / "cpu,cpuacct/ns"));
  EXPECT_FALSE(fs::exists(root.path() / "cpu,cpuacct/ns/id"));
  EXPECT_FALSE(fs::exists(root.path() / "memory/ns/id"));
  EXPECT_TRUE(fs::exists(root.path() / "memory/ns/other"));

  fs::create_directories(root.path() / "memory/ns/id/inner");
  EXPECT_FALSE(RemoveCgroups("ns/id", absl::ZeroDuration(), root.path().string()).ok());
  EXPECT_TRUE(fs::exists(root.path() / "memory/ns/id/inner"));
}

}  // namespace
}  // namespace gantry::runtime
