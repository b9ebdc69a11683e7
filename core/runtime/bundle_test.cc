// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/bundle.h"

#include <sys/mount.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/kernel/testing/require.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gantry::runtime {
namespace {

namespace fs = std::filesystem;
using ::gantry::testing::IsOk;
using ::gantry::testing::IsOkAndHolds;
using ::gantry::testing::StatusIs;
using ::gantry::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

std::string Read(const fs::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

void Write(const fs::path& path, std::string_view text) { std::ofstream(path) << text; }

mode_t ModeOf(const fs::path& path) {
  struct stat info {};
  EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

class BundleTest : public ::testing::Test {
 protected:
  BundleTest() {
    fs::create_directories(roots_.state);
    fs::create_directories(roots_.root);
  }
  absl::StatusOr<Bundle> Create(std::optional<std::string_view> spec = "{}") {
    return Bundle::Create(roots_, "ns", "c1", spec);
  }

  TempDir dir_;
  BundleRoots roots_{.state = dir_.path() / "state", .root = dir_.path() / "root"};
};

class RootBundleTest : public BundleTest {
 protected:
  void SetUp() override { ::gantry::testing::RequireRoot(); }
};

TEST_F(BundleTest, HoldsWhatAShimExpects) {
  const auto bundle = Create(R"({"a": 1})");
  ASSERT_THAT(bundle, IsOk());
  EXPECT_EQ(bundle->path(), roots_.state / "ns" / "c1");
  EXPECT_EQ(ModeOf(bundle->path()), 0700U);
  EXPECT_EQ(ModeOf(bundle->path().parent_path()), 0711U);
  EXPECT_EQ(ModeOf(bundle->rootfs()), 0711U);
  EXPECT_EQ(ModeOf(roots_.root / "ns" / "c1"), 0711U);
  EXPECT_EQ(fs::read_symlink(bundle->path() / "work"), roots_.root / "ns" / "c1");
  EXPECT_TRUE(fs::is_fifo(bundle->log()));
  EXPECT_EQ(ModeOf(bundle->log()), 0700U);
  EXPECT_EQ(Read(bundle->path() / "config.json"), R"({"a": 1})");
  EXPECT_TRUE(bundle->creating());
}

TEST_F(BundleTest, HasNoConfigWithoutASpec) {
  const auto bundle = Create(std::nullopt);
  ASSERT_THAT(bundle, IsOk());
  EXPECT_FALSE(fs::exists(bundle->path() / "config.json"));
}

TEST_F(RootBundleTest, OpensToTheGroupThatIsRootInside) {
  const auto bundle = Create(
      R"({"linux": {"gidMappings": [{"containerID": 1, "hostID": 7, "size": 1},
                                    {"containerID": 0, "hostID": 100000, "size": 65536}]}})");
  ASSERT_THAT(bundle, IsOk());
  EXPECT_EQ(ModeOf(bundle->path()), 0710U);
  struct stat info {};
  ASSERT_EQ(::stat(bundle->path().c_str(), &info), 0);
  EXPECT_EQ(info.st_gid, 100000U);
  EXPECT_EQ(MappedRootGroup(R"({"linux": {"gidMappings": [{"hostID": 0, "size": 9}]}})"),
            std::nullopt);
  EXPECT_EQ(MappedRootGroup(R"({"linux": {"gidMappings": [)"), std::nullopt);
}

TEST_F(BundleTest, ASecondOneIsRefusedAndTheFirstUntouched) {
  ASSERT_THAT(Create("first"), IsOk());
  EXPECT_THAT(Create("second"), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_EQ(Read(roots_.state / "ns" / "c1" / "config.json"), "first");
}

TEST_F(BundleTest, IdsThatCouldLeaveTheFolderAreRefused) {
  EXPECT_THAT(Bundle::Create(roots_, "ns", "../c1", "{}"),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Bundle::Create(roots_, "..", "c1", "{}"),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(BundleTest, WhatAnEarlierContainerLeftInTheTwinIsWiped) {
  fs::create_directories(roots_.root / "ns" / "c1" / "criu-work");
  ASSERT_THAT(Create(), IsOk());
  EXPECT_TRUE(fs::is_empty(roots_.root / "ns" / "c1"));
}

TEST_F(BundleTest, RemembersEndpointShimAndExit) {
  const auto bundle = Create();
  ASSERT_THAT(bundle, IsOk());
  const Endpoint endpoint{3, "unix:///run/x", "ttrpc"};
  ASSERT_THAT(bundle->WriteEndpoint(endpoint), IsOk());
  EXPECT_THAT(bundle->ReadEndpoint(), IsOkAndHolds(endpoint));
  EXPECT_EQ(ModeOf(bundle->path() / "bootstrap.json"), 0644U);
  ASSERT_THAT(bundle->WriteShimBinary("/usr/bin/shim"), IsOk());
  EXPECT_THAT(bundle->ReadShimBinary(), IsOkAndHolds("/usr/bin/shim"));
  EXPECT_THAT(bundle->ReadSandbox(), IsOkAndHolds(""));
  ASSERT_THAT(bundle->WriteSandbox("pod"), IsOk());
  EXPECT_THAT(bundle->ReadSandbox(), IsOkAndHolds("pod"));
  EXPECT_EQ(bundle->ReadExit(), std::nullopt);
  const RecordedExit exit{137, absl::FromUnixNanos(1'700'000'000'123'456'789)};
  ASSERT_THAT(bundle->RecordExit(exit), IsOk());
  EXPECT_EQ(bundle->ReadExit(), exit);
  ASSERT_THAT(bundle->MarkCreated(), IsOk());
  EXPECT_FALSE(bundle->creating());
  EXPECT_EQ(bundle->ReadInitPid(), 0U);
  Write(bundle->path() / "init.pid", " 4711\n");
  EXPECT_EQ(bundle->ReadInitPid(), 4711U);
}

TEST_F(BundleTest, MovesAnOldShimsAddressToTheNewForm) {
  const auto bundle = Create();
  ASSERT_THAT(bundle, IsOk());
  EXPECT_THAT(bundle->ReadEndpoint(), StatusIs(absl::StatusCode::kNotFound));
  Write(bundle->path() / "address", "unix:///run/old.sock");
  const Endpoint endpoint{2, "unix:///run/old.sock", "ttrpc"};
  EXPECT_THAT(bundle->ReadEndpoint(), IsOkAndHolds(endpoint));
  fs::remove(bundle->path() / "address");
  EXPECT_THAT(bundle->ReadEndpoint(), IsOkAndHolds(endpoint));
  // Some daemons wrote the bare address into the new file.
  Write(bundle->path() / "bootstrap.json", "unix:///run/old.sock");
  EXPECT_THAT(bundle->ReadEndpoint(), IsOkAndHolds(endpoint));
}

TEST_F(BundleTest, RemoveTakesBothDirectories) {
  const auto bundle = Create();
  ASSERT_THAT(bundle, IsOk());
  Write(roots_.root / "ns" / "c1" / "x", "x");
  fs::create_directories(roots_.state / "ns" / ".c1" / "from-a-crash");
  ASSERT_THAT(bundle->Remove(false), IsOk());
  EXPECT_TRUE(fs::is_empty(roots_.state / "ns"));
  EXPECT_TRUE(fs::is_empty(roots_.root / "ns"));
  EXPECT_THAT(bundle->Remove(false), IsOk());
}

TEST_F(BundleTest, RemoveNeverDeletesWhatLiesInTheRootfs) {
  const auto bundle = Create();
  ASSERT_THAT(bundle, IsOk());
  Write(bundle->rootfs() / "data", "precious");
  EXPECT_THAT(bundle->Remove(false), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_FALSE(bundle->removing());
  EXPECT_FALSE(bundle->Remove(true).ok());
  EXPECT_EQ(Read(bundle->rootfs() / "data"), "precious");
  EXPECT_TRUE(bundle->removing());
}

TEST_F(RootBundleTest, RemoveUnmountsWhatIsStackedOnTheRootfs) {
  const auto bundle = Create();
  ASSERT_THAT(bundle, IsOk());
  const fs::path source = dir_.path() / "image";
  fs::create_directories(source);
  Write(source / "data", "precious");
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(::mount(source.c_str(), bundle->rootfs().c_str(), nullptr, MS_BIND, nullptr), 0);
  }
  EXPECT_THAT(bundle->Remove(false), StatusIs(absl::StatusCode::kUnavailable));
  ASSERT_THAT(bundle->Remove(true), IsOk());
  EXPECT_EQ(Read(source / "data"), "precious");
  EXPECT_FALSE(fs::exists(bundle->path()));
}

TEST_F(BundleTest, ListsBundlesAndHalfRemovedOnes) {
  ASSERT_THAT(Create(), IsOk());
  fs::create_directories(roots_.state / "ns" / ".c2");
  fs::create_directories(roots_.state / ".hidden" / "c3");
  Write(roots_.state / "file", "");
  const auto listing = ListBundles(roots_.state);
  ASSERT_THAT(listing, IsOk());
  EXPECT_THAT(listing->bundles, ElementsAre(Pair("ns", "c1")));
  EXPECT_THAT(listing->remains, ElementsAre(roots_.state / "ns" / ".c2"));
  EXPECT_THAT(ListBundles(dir_.path() / "absent")->bundles, IsEmpty());
}

}  // namespace
}  // namespace gantry::runtime
