// SPDX-License-Identifier: Apache-2.0
// The suite on full copies, and the copying itself.
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>

#include "core/kernel/tree.h"
#include "core/kernel/unique_fd.h"
#include "core/snapshots/testing/damaged_start.h"
#include "core/snapshots/testing/local_test_bed.h"
#include "core/snapshots/testing/snapshotter_suite.h"
#include "snapshotters/native/copy_file.h"
#include "snapshotters/native/copy_tree.h"
#include "snapshotters/native/native_driver.h"
#include "snapshotters/native/plugin.h"

namespace gantry::snapshots {
namespace {

absl::StatusOr<std::unique_ptr<LocalDriver>> MakeDriver(const std::filesystem::path& root) {
  ASSIGN_OR_RETURN(auto directories, SnapshotDirectories::Open(root));
  return std::make_unique<native::NativeDriver>(std::move(directories));
}

INSTANTIATE_TEST_SUITE_P(
    Tmpfs, SnapshotterSuite,
    ::testing::Values(SuiteParam{
        .name = "native",
        .make = [](const std::filesystem::path& root) -> absl::StatusOr<std::unique_ptr<TestBed>> {
          return LocalTestBed::Make(root, "native", MakeDriver);
        }}));

class CopyTreeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    testing::RequireRoot();
    std::filesystem::create_directory(from_);
    std::filesystem::create_directory(to_);
  }

  testing::TempDir dir_;
  const std::filesystem::path from_ = dir_.path() / "from";
  const std::filesystem::path to_ = dir_.path() / "to";
};

TEST_F(CopyTreeTest, TheCopyIsLikeTheOriginalInAllThatShows) {
  const Tree tree(from_);
  tree.Dir("dir", 02750);
  tree.File("dir/file", "content", 04711);
  tree.File("empty", "", 0);
  tree.Link("dir/file", "link");
  tree.Symlink("/etc/passwd", "dir/symlink");
  tree.Chown("dir/file", 5, 6);
  tree.Chmod("dir/file", 04711);
  tree.Chown("dir/symlink", 7, 8);
  tree.Device("fifo", S_IFIFO, 0);
  tree.Device("zero", S_IFCHR, makedev(1, 5));
  tree.Xattr("dir", "trusted.a", "b");
  for (const char* path : {"dir/file", "empty", "dir/symlink", "fifo", "zero", "dir", ""})
    tree.Touch(path, 1'111'111'111);
  ASSERT_THAT(native::CopyTree({}, from_, to_), IsOk());
  EXPECT_EQ(testing::ReadTree(to_, /*with_times=*/true),
            testing::ReadTree(from_, /*with_times=*/true));
}

TEST_F(CopyTreeTest, HolesStayHoles) {
  {
    std::ofstream file(from_ / "sparse", std::ios::binary);
    file.seekp(64 << 20);
    file << "end";
  }
  ASSERT_THAT(native::CopyTree({}, from_, to_), IsOk());
  struct stat info {};
  ASSERT_EQ(::stat((to_ / "sparse").c_str(), &info), 0);
  EXPECT_EQ(info.st_size, (64 << 20) + 3);
  EXPECT_LT(info.st_blocks * 512, 1 << 20);
}

TEST_F(CopyTreeTest, ADeepTreeIsCopied) {
  // Deeper than the fds that are kept open, its path longer than a system call takes.
  constexpr int kDepth = 200;
  const std::string name(50, 'd');
  const std::filesystem::path back = std::filesystem::current_path();
  std::filesystem::current_path(from_);
  for (int i = 0; i < kDepth; ++i) {
    ASSERT_EQ(::mkdir(name.c_str(), 0755), 0);
    ASSERT_EQ(::chdir(name.c_str()), 0);
  }
  std::ofstream("leaf") << "x";
  std::filesystem::current_path(back);
  ASSERT_THAT(native::CopyTree({}, from_, to_), IsOk());
  std::filesystem::current_path(to_);
  for (int i = 0; i < kDepth; ++i) ASSERT_EQ(::chdir(name.c_str()), 0) << i;
  EXPECT_EQ(::access("leaf", F_OK), 0);
  std::filesystem::current_path(back);
  // Too deep for the standard library.
  EXPECT_TRUE(kernel::RemoveTree(from_).ok());
  EXPECT_TRUE(kernel::RemoveTree(to_).ok());
}

TEST(CopyContentTest, ALargeFileIsLeftInTheMiddle) {
  constexpr off_t kFar = off_t{100} << 20;
  const kernel::UniqueFd from(::memfd_create("from", MFD_CLOEXEC));
  const kernel::UniqueFd to(::memfd_create("to", MFD_CLOEXEC));
  for (const off_t offset : {off_t{0}, kFar}) ASSERT_EQ(::pwrite(from.get(), "x", 1, offset), 1);
  int asked = 0;
  const auto copied =
      native::CopyContent(from.get(), to.get(), kFar + 1, [&asked] { return ++asked > 1; });
  ASSERT_FALSE(copied);
  EXPECT_EQ(copied.error().err, ECANCELED);
  ASSERT_TRUE(native::CopyContent(from.get(), to.get(), kFar + 1, [] { return false; }));
  char last = 0;
  EXPECT_EQ(::pread(to.get(), &last, 1, kFar), 1);
  EXPECT_EQ(last, 'x');
}

TEST_F(CopyTreeTest, ACancelledCopyStops) {
  Tree(from_).File("file", "x");
  std::stop_source stop;
  stop.request_stop();
  Context ctx;
  ctx.stop = stop.get_token();
  EXPECT_THAT(native::CopyTree(ctx, from_, to_), StatusIs(absl::StatusCode::kCancelled));
}

TEST_F(CopyTreeTest, AMissingSourceIsDamageNotAWrongName) {
  EXPECT_THAT(native::CopyTree({}, from_ / "absent", to_), StatusIs(absl::StatusCode::kInternal));
}

TEST(NativePluginTest, TellsHowManySnapshotsAreDamaged) {
  const testing::TempDir dir;
  const auto exports = ExportsWhenDamaged(native::NativePlugin(), dir.path() / "daemon");
  ASSERT_THAT(exports, testing::IsOk());
  EXPECT_THAT(*exports, ::testing::Contains(::testing::Pair("damaged", "1")));
}

}  // namespace
}  // namespace gantry::snapshots
