// SPDX-License-Identifier: Apache-2.0
#include "core/content/foreign_blobs.h"

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "core/base/testing/matchers.h"
#include "core/content/content_record.h"
#include "core/content/testing/store_fixture.h"
#include "gtest/gtest.h"

namespace gantry::content {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const auto kForeign = StatusIs(absl::StatusCode::kFailedPrecondition,
                               HasSubstr("blobs that the database does not know"));

class ForeignBlobsTest : public StoreFixture {
 protected:
  ForeignBlobsTest() : StoreFixture("io.containerd.content.v1.content") {}

  // A file as a crash leaves it between its name and its record.
  void Plant(const std::string& bytes) {
    std::filesystem::create_directories(content_ / "blobs" / "sha256");
    std::ofstream(BlobFile(Digest::Of(bytes))) << bytes;
  }

  absl::Status Check() { return CheckForeignBlobs(metadata_.get(), dir_.path()); }
};

TEST_F(ForeignBlobsTest, OwnBlobsPassAndNeedTheirDatabase) {
  EXPECT_THAT(CheckForeignBlobs(nullptr, dir_.path()), IsOk());
  Add(a_, "one");
  EXPECT_THAT(Check(), IsOk());
  EXPECT_THAT(CheckForeignBlobs(nullptr, dir_.path()), kForeign);
  EXPECT_THAT(CheckForeignBlobs(nullptr, dir_.path() / "absent"), IsOk());
}

TEST_F(ForeignBlobsTest, AnUnknownBlobIsForeignAndStays) {
  Add(a_, "one");
  Plant("other");
  EXPECT_THAT(Check(), kForeign);
  EXPECT_TRUE(std::filesystem::exists(BlobFile(Digest::Of("other"))));
  std::ofstream(content_ / "blobs" / "sha256" / "notes.txt") << "no blob";
  std::filesystem::remove(BlobFile(Digest::Of("other")));
  EXPECT_THAT(Check(), IsOk());
}

TEST_F(ForeignBlobsTest, WhatAnIngestPromisedIsOurs) {
  const auto announced = MustOpen(a_, {.ref = "announced", .expected = Digest::Of("x").str()});
  Plant("x");
  EXPECT_THAT(Check(), IsOk());
  const auto silent = MustOpen(a_, {.ref = "silent"});
  Plant("y");
  EXPECT_THAT(Check(), kForeign);
}

TEST_F(ForeignBlobsTest, ADroppedIngestLeavesNothingForeign) {
  MustOpen(a_, {.ref = "x", .expected = Digest::Of("x").str()}).reset();
  Plant("x");
  EXPECT_THAT(store_->Abort(a_, "x"), IsOk());
  EXPECT_THAT(Check(), IsOk());
  // Another promise under the same ref.
  MustOpen(a_, {.ref = "y", .expected = Digest::Of("y").str()}).reset();
  Plant("y");
  MustOpen(a_, {.ref = "y", .expected = Digest::Of("z").str()}).reset();
  EXPECT_THAT(Check(), IsOk());
  EXPECT_THAT(store_->CleanUp(a_), IsOk());
  EXPECT_FALSE(std::filesystem::exists(BlobFile(Digest::Of("x"))));
  EXPECT_FALSE(std::filesystem::exists(BlobFile(Digest::Of("y"))));
}

TEST_F(ForeignBlobsTest, ADeletedBlobIsOursUntilItsFileIsGone) {
  const Digest digest = Add(a_, "one");
  EXPECT_THAT(store_->Delete(a_, digest.str()), IsOk());
  EXPECT_TRUE(std::filesystem::exists(BlobFile(digest)));
  EXPECT_THAT(Check(), IsOk());
  EXPECT_THAT(store_->CleanUp(a_), IsOk());
  EXPECT_FALSE(std::filesystem::exists(BlobFile(digest)));
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
  const Digest digest = Add(a_, "one");
  EXPECT_THAT(store_->Delete(a_, digest.str()), IsOk());
  Add(a_, "one");
  EXPECT_THAT(store_->CleanUp(a_), IsOk());
  EXPECT_TRUE(std::filesystem::exists(BlobFile(digest)));
  EXPECT_THAT(Check(), IsOk());
}

}  // namespace
}  // namespace gantry::content
