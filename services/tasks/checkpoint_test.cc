// SPDX-License-Identifier: Apache-2.0
#include "services/tasks/checkpoint.h"

#include <fstream>
#include <memory>
#include <sstream>

#include "core/base/testing/fake_clock.h"
#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/compression/compression.h"
#include "core/content/local_backend.h"
#include "core/events/testing/recording_publisher.h"
#include "gtest/gtest.h"

namespace gantry::tasks {
namespace {

namespace fs = std::filesystem;
using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;

std::string Read(const fs::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class CheckpointTest : public ::testing::Test {
 protected:
  CheckpointTest() {
    fs::create_directories(dir_.path() / "dump/inner");
    std::ofstream(dir_.path() / "dump/pages-1.img") << "memory";
    std::ofstream(dir_.path() / "dump/inner/core.img") << "registers";
    fs::create_directories(dir_.path() / "into");
  }

  gantry::testing::TempDir dir_;
  base::FakeClock clock_;
  events::RecordingPublisher events_;
  std::unique_ptr<metadata::Metadata> metadata_ = *metadata::Metadata::Open(
      {.db = {.path = dir_.path() / "db", .map_size_bytes = 16 << 20, .no_sync = true}}, clock_);
  std::unique_ptr<content::LocalBackend> backend_ =
      *content::LocalBackend::Open(dir_.path() / "content", clock_);
  content::ContentStore store_{*metadata_, *backend_, events_};
  const Context ctx_{.ns = "ns"};
};

TEST_F(CheckpointTest, ComesBackAsItWas) {
  const auto stored = StoreDirectory(ctx_, store_, dir_.path() / "dump");
  ASSERT_THAT(stored, IsOk());
  EXPECT_EQ(stored->media_type, kCheckpointMediaType);
  EXPECT_EQ(store_.Get(ctx_, stored->digest)->size, stored->size);
  ASSERT_THAT(FetchCheckpoint(ctx_, store_, *stored, dir_.path() / "into"), IsOk());
  EXPECT_EQ(Read(dir_.path() / "into/pages-1.img"), "memory");
  EXPECT_EQ(Read(dir_.path() / "into/inner/core.img"), "registers");
}

TEST_F(CheckpointTest, MayBeTakenAgain) {
  const auto first = StoreDirectory(ctx_, store_, dir_.path() / "dump");
  const auto second = StoreDirectory(ctx_, store_, dir_.path() / "dump");
  ASSERT_THAT(second, IsOk());
  EXPECT_EQ(first->digest, second->digest);
}

TEST_F(CheckpointTest, OtherContentIsNoCheckpoint) {
  auto stored = StoreBytes(ctx_, store_, "spec", kCheckpointConfigMediaType, "ref");
  ASSERT_THAT(stored, IsOk());
  EXPECT_EQ(stored->size, 4);
  EXPECT_THAT(FetchCheckpoint(ctx_, store_, *stored, dir_.path() / "into"),
              StatusIs(absl::StatusCode::kInvalidArgument));
  stored->media_type = kCheckpointMediaType;
  EXPECT_FALSE(FetchCheckpoint(ctx_, store_, *stored, dir_.path() / "into").ok());
  stored->digest = "sha256:" + std::string(64, '0');
  EXPECT_THAT(FetchCheckpoint(ctx_, store_, *stored, dir_.path() / "into"),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(CheckpointTest, AScopedDumpIsRemovedWithItsContent) {
  fs::path path;
  {
    const auto dump = ScopedDump::Make(dir_.path());
    ASSERT_THAT(dump, IsOk());
    path = dump->path();
    EXPECT_EQ(path.parent_path(), dir_.path());
    std::ofstream(path / "file") << "x";
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(CheckpointTest, DumpsThatACrashLeftAreRemoved) {
  fs::create_directories(dir_.path() / "dumps/checkpoint-abc123/img");
  std::ofstream(dir_.path() / "dumps/checkpoint-abc123/img/pages-1.img") << "memory";
  fs::create_directory(dir_.path() / "dumps/other");
  RemoveLeftDumps(dir_.path() / "dumps");
  EXPECT_FALSE(fs::exists(dir_.path() / "dumps/checkpoint-abc123"));
  EXPECT_TRUE(fs::exists(dir_.path() / "dumps/other"));
}

TEST_F(CheckpointTest, ChangesMayBeCompressed) {
  const auto stored = StoreDirectory(ctx_, store_, dir_.path() / "dump");
  ASSERT_THAT(stored, IsOk());
  StringWriter compressed;
  const auto compressor = compression::NewCompressor(compression::Algorithm::kGzip, compressed);
  ASSERT_THAT(compressor->Write(Read(dir_.path() / "content/blobs/sha256" /
                                     stored->digest.substr(sizeof("sha256:") - 1))),
              IsOk());
  ASSERT_THAT(compressor->Finish(), IsOk());
  std::ofstream(dir_.path() / "changes.tar") << compressed.text();
  ASSERT_THAT(ApplyArchive(ctx_, dir_.path() / "changes.tar", dir_.path() / "into"), IsOk());
  EXPECT_EQ(Read(dir_.path() / "into/pages-1.img"), "memory");
}

}  // namespace
}  // namespace gantry::tasks
