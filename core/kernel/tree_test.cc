// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/tree.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "core/base/testing/temp_dir.h"
#include "core/kernel/file.h"

namespace gantry::kernel {
namespace {

namespace fs = std::filesystem;

class TreeTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directory(root_); }

  void Fill(const fs::path& name, size_t bytes) {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << std::string(bytes, 'x');
  }

  // A chain of directories too deep for one path.
  void MakeDeep(int depth) {
    UniqueFd at = std::move(*Open(root_.string(), O_RDONLY | O_DIRECTORY));
    for (int i = 0; i < depth; ++i) {
      ASSERT_EQ(::mkdirat(at.get(), "a-directory", 0755), 0);
      at = std::move(*OpenAt(at.get(), "a-directory", O_RDONLY | O_DIRECTORY));
    }
    ASSERT_TRUE(OpenAt(at.get(), "file", O_CREAT | O_WRONLY, 0600));
  }

  gantry::testing::TempDir dir_;
  fs::path root_ = dir_.path() / "tree";
};

TEST_F(TreeTest, RemovesEverythingBelow) {
  for (int i = 0; i < 300; ++i) Fill("a/b" + std::to_string(i % 7) + "/" + std::to_string(i), 10);
  ASSERT_EQ(::mkfifo((root_ / "fifo").c_str(), 0600), 0);
  const auto removed = RemoveTree(root_.string());
  ASSERT_TRUE(removed) << removed.error().Text();
  EXPECT_FALSE(fs::exists(root_));
}

TEST_F(TreeTest, RemovesAFileAndAcceptsNothing) {
  Fill("file", 1);
  EXPECT_TRUE(RemoveTree((root_ / "file").string()));
  EXPECT_TRUE(RemoveTree((root_ / "file").string()));
  EXPECT_TRUE(RemoveTree((root_ / "no/such").string()));
}

TEST_F(TreeTest, RemovalDoesNotFollowSymlinks) {
  fs::create_directory(dir_.path() / "kept");
  std::ofstream(dir_.path() / "kept/file") << "x";
  fs::create_symlink(dir_.path() / "kept", root_ / "link");
  ASSERT_TRUE(RemoveTree(root_.string()));
  EXPECT_TRUE(fs::exists(dir_.path() / "kept/file"));
  fs::create_symlink(dir_.path() / "kept", root_);
  ASSERT_TRUE(RemoveTree(root_.string()));
  EXPECT_TRUE(fs::exists(dir_.path() / "kept/file"));
}

TEST_F(TreeTest, ADepthBeyondPathLimitsIsMeasuredAndRemoved) {
  constexpr int kDepth = 500;
  MakeDeep(kDepth);
  const auto usage = DiskUsage(root_.string());
  ASSERT_TRUE(usage) << usage.error().Text();
  EXPECT_EQ(usage->inodes, kDepth + 2U);
  const auto removed = RemoveTree(root_.string());
  ASSERT_TRUE(removed) << removed.error().Text();
  EXPECT_FALSE(fs::exists(root_));
}

TEST_F(TreeTest, UsageCountsBlocksAndEachInodeOnce) {
  Fill("a/file", 10'000);
  fs::create_hard_link(root_ / "a/file", root_ / "again");
  std::ofstream(root_ / "sparse");
  ASSERT_EQ(::truncate((root_ / "sparse").c_str(), 1 << 30), 0);
  fs::create_symlink("a", root_ / "link");
  uint64_t blocks = 0;
  for (const char* name : {"", "a", "a/file", "sparse", "link"}) {
    struct stat info {};
    ASSERT_EQ(::lstat((root_ / name).c_str(), &info), 0);
    blocks += static_cast<uint64_t>(info.st_blocks);
  }
  const auto usage = DiskUsage(root_.string());
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->inodes, 5U);
  EXPECT_EQ(usage->bytes, blocks * 512);
  EXPECT_LT(usage->bytes, 1U << 20);
}

TEST_F(TreeTest, UsageOfATreeThatVanishesMeanwhileIsNoError) {
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 100; ++i) Fill(std::to_string(i % 20) + "/" + std::to_string(i), 1);
    std::thread remover([this] {
      for (int i = 0; i < 20; ++i) fs::remove_all(root_ / std::to_string(i));
    });
    const auto usage = DiskUsage(root_.string());
    remover.join();
    ASSERT_TRUE(usage) << usage.error().Text();
  }
}

TEST_F(TreeTest, WorkThatIsNoLongerWantedEnds) {
  for (int i = 0; i < 10; ++i) Fill("sub/" + std::to_string(i), 1);
  int asked = 0;
  const GiveUp give_up = [&asked] { return ++asked > 5; };
  const auto usage = DiskUsage(root_.string(), give_up);
  ASSERT_FALSE(usage);
  EXPECT_EQ(usage.error().err, ECANCELED);
  asked = 0;
  const auto removed = RemoveTree(root_.string(), give_up);
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().err, ECANCELED);
  EXPECT_TRUE(fs::exists(root_ / "sub"));
}

TEST_F(TreeTest, UsageOfNothingIsNotFound) {
  const auto usage = DiskUsage((root_ / "none").string());
  ASSERT_FALSE(usage);
  EXPECT_EQ(usage.error().err, ENOENT);
}

}  // namespace
}  // namespace gantry::kernel
