// SPDX-License-Identifier: Apache-2.0
#include "core/content/foreign_blobs.h"

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "core/base/testing/fake_clock.h"
#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/content/content_record.h"
#include "core/content/content_store.h"
#include "core/content/ingest_writer.h"
#include "core/content/local_backend.h"
#include "core/events/testing/recording_publisher.h"
#include "gtest/gtest.h"

namespace gantry::content {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const auto kForeign = StatusIs(absl::StatusCode::kFailedPrecondition,
                               HasSubstr("blobs that the database does not know"));

class ForeignBlobsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto metadata = metadata::Metadata::Open(
        {.db = {.path = dir_.path() / "db", .map_size_bytes = uint64_t{1} << 28}}, clock_);
    ASSERT_THAT(metadata, IsOk());
    metadata_ = *std::move(metadata);
    auto backend = LocalBackend::Open(folder_, clock_);
    ASSERT_THAT(backend, IsOk());
    backend_ = *std::move(backend);
    store_ = std::make_unique<ContentStore>(*metadata_, *backend_, events_);
  }

  std::unique_ptr<IngestWriter> Open(const std::string& ref, const std::string& expected = {}) {
    auto writer = store_->OpenWriter(ctx_, {.ref = ref, .expected = expected});
    EXPECT_THAT(writer, IsOk());
    return writer.ok() ? *std::move(writer) : nullptr;
  }

  Digest Add(const std::string& bytes) {
    const auto writer = Open("add-" + bytes);
    EXPECT_THAT(writer->Write(bytes), IsOk());
    const auto digest = writer->Commit(ctx_, 0, {}, {});
    EXPECT_THAT(digest, IsOk());
    return digest.ok() ? *digest : Digest();
  }

  std::filesystem::path PathOf(const Digest& digest) {
    return folder_ / "blobs" / "sha256" / digest.hex();
  }

  // A file as a crash leaves it between its name and its record.
  void Plant(const std::string& bytes) {
    std::filesystem::create_directories(folder_ / "blobs" / "sha256");
    std::ofstream(PathOf(Digest::Of(bytes))) << bytes;
  }

  absl::Status Check() { return CheckForeignBlobs(metadata_.get(), dir_.path()); }

  const Context ctx_{.ns = "a"};
  const base::FakeClock clock_;
  testing::TempDir dir_;
  const std::filesystem::path folder_ = dir_.path() / "io.containerd.content.v1.content";
  events::RecordingPublisher events_;
  std::unique_ptr<metadata::Metadata> metadata_;
  std::unique_ptr<LocalBackend> backend_;
  std::unique_ptr<ContentStore> store_;
};

TEST_F(ForeignBlobsTest, OwnBlobsPassAndNeedTheirDatabase) {
  EXPECT_THAT(CheckForeignBlobs(nullptr, dir_.path()), IsOk());
  Add("one");
  EXPECT_THAT(Check(), IsOk());
  EXPECT_THAT(CheckForeignBlobs(nullptr, dir_.path()), kForeign);
  EXPECT_THAT(CheckForeignBlobs(nullptr, dir_.path() / "absent"), IsOk());
}

TEST_F(ForeignBlobsTest, AnUnknownBlobIsForeignAndStays) {
  Add("one");
  Plant("other");
  EXPECT_THAT(Check(), kForeign);
  EXPECT_TRUE(std::filesystem::exists(PathOf(Digest::Of("other"))));
  std::ofstream(folder_ / "blobs" / "sha256" / "notes.txt") << "no blob";
  std::filesystem::remove(PathOf(Digest::Of("other")));
  EXPECT_THAT(Check(), IsOk());
}

TEST_F(ForeignBlobsTest, WhatAnIngestPromisedIsOurs) {
  const auto announced = Open("announced", Digest::Of("x").str());
  Plant("x");
  EXPECT_THAT(Check(), IsOk());
  const auto silent = Open("silent");
  Plant("y");
  EXPECT_THAT(Check(), kForeign);
}

TEST_F(ForeignBlobsTest, ADroppedIngestLeavesNothingForeign) {
  Open("x", Digest::Of("x").str()).reset();
  Plant("x");
  EXPECT_THAT(store_->Abort(ctx_, "x"), IsOk());
  EXPECT_THAT(Check(), IsOk());
  // Another promise under the same ref.
  Open("y", Digest::Of("y").str()).reset();
  Plant("y");
  Open("y", Digest::Of("z").str()).reset();
  EXPECT_THAT(Check(), IsOk());
  EXPECT_THAT(store_->CleanUp(ctx_), IsOk());
  EXPECT_FALSE(std::filesystem::exists(PathOf(Digest::Of("x"))));
  EXPECT_FALSE(std::filesystem::exists(PathOf(Digest::Of("y"))));
}

TEST_F(ForeignBlobsTest, ADeletedBlobIsOursUntilItsFileIsGone) {
  const Digest digest = Add("one");
  EXPECT_THAT(store_->Delete(ctx_, digest.str()), IsOk());
  EXPECT_TRUE(std::filesystem::exists(PathOf(digest)));
  EXPECT_THAT(Check(), IsOk());
  EXPECT_THAT(store_->CleanUp(ctx_), IsOk());
  EXPECT_FALSE(std::filesystem::exists(PathOf(digest)));
  auto txn = metadata_->Read();
  ASSERT_THAT(txn, IsOk());
  const auto left = ListRemovable(txn->view());
  ASSERT_THAT(left, IsOk());
  EXPECT_THAT(*left, IsEmpty());
  // From now on such a file is nothing that we left.
  Plant("one");
  EXPECT_THAT(Check(), kForeign);
}

TEST_F(ForeignBlobsTest, ABlobThatCameBackKeepsItsOwner) {
  const Digest digest = Add("one");
  EXPECT_THAT(store_->Delete(ctx_, digest.str()), IsOk());
  Add("one");
  EXPECT_THAT(store_->CleanUp(ctx_), IsOk());
  EXPECT_TRUE(std::filesystem::exists(PathOf(digest)));
  EXPECT_THAT(Check(), IsOk());
}

}  // namespace
}  // namespace gantry::content
