// SPDX-License-Identifier: Apache-2.0
// A content store on a file system that fills up.
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "core/base/testing/fake_clock.h"
#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/content/content_store.h"
#include "core/content/ingest_writer.h"
#include "core/content/local_backend.h"
#include "core/events/testing/recording_publisher.h"
#include "core/kernel/mount.h"
#include "core/kernel/testing/matchers.h"
#include "core/kernel/testing/require.h"
#include "gtest/gtest.h"

namespace gantry::content {
namespace {

namespace fs = std::filesystem;
using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::gantry::testing::Succeeds;
constexpr auto kExhausted = absl::StatusCode::kResourceExhausted;
constexpr size_t kMiB = 1 << 20;

class FullDiskTest : public ::testing::Test {
 protected:
  void SetUp() override {
    gantry::testing::RequirePrivateMounts();
    if (IsSkipped() || HasFatalFailure()) return;
    fs::create_directory(disk_);
    ASSERT_THAT(kernel::Mount({"tmpfs", "tmpfs", {"size=8m,nr_inodes=64"}}, disk_.string()),
                Succeeds());
    auto backend = LocalBackend::Open(disk_ / "content", clock_);
    ASSERT_THAT(backend, IsOk());
    backend_ = *std::move(backend);
    store_ = std::make_unique<ContentStore>(*metadata_, *backend_, events_);
  }
  void TearDown() override {
    store_.reset();
    backend_.reset();
    if (IsSkipped()) return;
    EXPECT_THAT(kernel::UnmountTree(disk_.string(), MNT_DETACH), Succeeds());
  }

  std::unique_ptr<IngestWriter> MustOpen(const std::string& ref) {
    auto writer = store_->OpenWriter(ctx_, {.ref = ref});
    EXPECT_THAT(writer, IsOk());
    return writer.ok() ? *std::move(writer) : nullptr;
  }
  // Bytes of the disk in use.
  uint64_t Used() const {
    struct statvfs info {};
    EXPECT_EQ(::statvfs(disk_.c_str(), &info), 0);
    return (info.f_blocks - info.f_bfree) * info.f_frsize;
  }
  size_t Count(const fs::path& folder) const {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(disk_ / "content" / folder), {}));
  }

  testing::TempDir dir_;
  const fs::path disk_ = dir_.path() / "disk";
  base::FakeClock clock_;
  events::RecordingPublisher events_;
  std::unique_ptr<metadata::Metadata> metadata_ = *metadata::Metadata::Open(
      {.db = {.path = dir_.path() / "db", .map_size_bytes = 16 << 20, .no_sync = true}}, clock_);
  std::unique_ptr<LocalBackend> backend_;
  std::unique_ptr<ContentStore> store_;
  const Context ctx_{.ns = "ns"};
};

TEST_F(FullDiskTest, AnIngestGoesOnWhereItStoppedOnceThereIsRoom) {
  std::ofstream(disk_ / "ballast") << std::string(5 * kMiB, 'b');
  const std::string bytes(5 * kMiB, 'x');
  size_t written = 0;
  {
    auto writer = MustOpen("r");
    absl::Status status;
    // Odd pieces, so that the last one is cut in the middle.
    while (written < bytes.size()) {
      status = writer->Write(std::string_view(bytes).substr(written, 700'001));
      if (!status.ok()) break;
      written += std::min<size_t>(700'001, bytes.size() - written);
    }
    EXPECT_THAT(status, StatusIs(kExhausted));
    EXPECT_EQ(writer->offset(), static_cast<int64_t>(written));
    EXPECT_THAT(writer->Write(std::string_view(bytes).substr(written, 2 * kMiB)),
                StatusIs(kExhausted));
  }
  ASSERT_EQ(::unlink((disk_ / "ballast").c_str()), 0);
  auto writer = MustOpen("r");
  ASSERT_EQ(writer->offset(), static_cast<int64_t>(written));
  ASSERT_THAT(writer->Write(std::string_view(bytes).substr(written)), IsOk());
  EXPECT_THAT(writer->Commit(ctx_, static_cast<int64_t>(bytes.size()), Digest::Of(bytes).str(), {}),
              IsOk());
  EXPECT_EQ(Count("ingest"), 0U);
}

TEST_F(FullDiskTest, AnIngestThatIsGivenUpLeavesNothing) {
  const uint64_t before = Used();
  {
    auto writer = MustOpen("r");
    absl::Status status;
    while (status.ok()) status = writer->Write(std::string(kMiB, 'x'));
    EXPECT_THAT(status, StatusIs(kExhausted));
  }
  ASSERT_THAT(store_->Abort(ctx_, "r"), IsOk());
  EXPECT_THAT(store_->Status(ctx_, "r"), StatusIs(absl::StatusCode::kNotFound));
  ASSERT_THAT(store_->CleanUp(ctx_), IsOk());
  EXPECT_EQ(Count("ingest"), 0U);
  EXPECT_LE(Used(), before + 16 * 1024);
}

TEST_F(FullDiskTest, AnIngestThatCannotEvenStartLeavesNothing) {
  ASSERT_THAT(MustOpen("first")->Write("x"), IsOk());
  std::error_code error;
  for (int i = 0; !error; ++i) fs::create_directory(disk_ / ("inode" + std::to_string(i)), error);
  EXPECT_THAT(store_->OpenWriter(ctx_, {.ref = "second"}), StatusIs(kExhausted));
  ASSERT_THAT(store_->CleanUp(ctx_), IsOk());
  EXPECT_EQ(Count("ingest"), 1U);
  EXPECT_THAT(store_->Status(ctx_, "second"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(store_->Status(ctx_, "first"), IsOk());
}

}  // namespace
}  // namespace gantry::content
