// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/db/database.h"
#include "core/db/key.h"
#include "gtest/gtest.h"

namespace gantry::db {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::ElementsAre;

class DatabaseTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(uint64_t{1} << 30); }

  void Open(uint64_t map_size) {
    db_.reset();
    tables_.clear();
    constexpr std::array names = {"a", "b"};
    auto db =
        Database::Open({.path = dir_.path() / "db", .map_size_bytes = map_size}, names, &tables_);
    ASSERT_THAT(db, IsOk());
    db_ = *std::move(db);
  }

  absl::Status Put(std::string_view key, std::string_view value) {
    return db_->Write({}, [&](WriteTxn& txn) { return txn.Put(tables_[0], key, value); });
  }

  std::string Get(std::string_view key) {
    auto txn = db_->Read();
    EXPECT_THAT(txn, IsOk());
    auto value = txn->Get(tables_[0], key);
    EXPECT_THAT(value, IsOk());
    return value->has_value() ? std::string(**value) : "<none>";
  }

  std::vector<std::string> Keys(std::string_view prefix, std::string_view after = {}) {
    std::vector<std::string> keys;
    auto txn = db_->Read();
    EXPECT_THAT(txn->ForEach(tables_[0], prefix, after,
                             [&](std::string_view key, std::string_view) -> absl::StatusOr<Scan> {
                               keys.emplace_back(key);
                               return Scan::kContinue;
                             }),
                IsOk());
    return keys;
  }

  testing::TempDir dir_;
  std::vector<Table> tables_;
  std::unique_ptr<Database> db_;
};

TEST_F(DatabaseTest, KeepsWhatWasWrittenAcrossReopening) {
  ASSERT_THAT(Put("k", "v"), IsOk());
  Open(uint64_t{1} << 30);
  EXPECT_EQ(Get("k"), "v");
  EXPECT_EQ(Get("other"), "<none>");
}

TEST_F(DatabaseTest, KeysOfAnyLengthRoundTripAndList) {
  const std::string base(600, 'x');
  for (const char* end : {"1", "2", "3"}) ASSERT_THAT(Put(base + end, end), IsOk());
  const std::string edge(kMaxPlainKeyBytes, 'y');
  ASSERT_THAT(Put(edge, "edge"), IsOk());
  ASSERT_THAT(Put(edge + "z", "beyond"), IsOk());
  EXPECT_EQ(Get(base + "2"), "2");
  EXPECT_EQ(Get(base), "<none>");
  EXPECT_EQ(Get(edge), "edge");
  EXPECT_EQ(Get(edge + "z"), "beyond");
  EXPECT_EQ(Keys(base).size(), 3U);
  EXPECT_THAT(Keys(base + "2"), ElementsAre(base + "2"));
  EXPECT_EQ(Keys("").size(), 5U);
}

TEST_F(DatabaseTest, ScansOnePrefixInOrderAndResumes) {
  for (const char* id : {"b", "a", "c"}) ASSERT_THAT(Put(JoinKey({"ns", id}), "v"), IsOk());
  ASSERT_THAT(Put(JoinKey({"ns2", "d"}), "v"), IsOk());
  EXPECT_THAT(Keys(KeyPrefix({"ns"})),
              ElementsAre(JoinKey({"ns", "a"}), JoinKey({"ns", "b"}), JoinKey({"ns", "c"})));
  EXPECT_THAT(Keys(KeyPrefix({"ns"}), JoinKey({"ns", "a"})),
              ElementsAre(JoinKey({"ns", "b"}), JoinKey({"ns", "c"})));
}

TEST_F(DatabaseTest, AFailingClosureAbortsAlone) {
  std::vector<std::thread> writers;
  std::atomic<int> failures = 0;
  for (int i = 0; i < 16; ++i) {
    writers.emplace_back([&, i] {
      const absl::Status status = db_->Write({}, [&](WriteTxn& txn) -> absl::Status {
        RETURN_IF_ERROR(txn.Put(tables_[0], "k" + std::to_string(i), "v"));
        return i % 2 == 0 ? absl::OkStatus() : Aborted("no");
      });
      if (!status.ok()) ++failures;
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(failures, 8);
  for (int i = 0; i < 16; ++i) EXPECT_EQ(Get("k" + std::to_string(i)), i % 2 == 0 ? "v" : "<none>");
}

TEST_F(DatabaseTest, ConcurrentWritersShareFlushes) {
  constexpr int kWriters = 32;
  std::vector<std::thread> writers;
  for (int i = 0; i < kWriters; ++i) {
    writers.emplace_back([&, i] {
      for (int j = 0; j < 8; ++j) EXPECT_THAT(Put(std::to_string(i * 8 + j), "v"), IsOk());
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(Keys("").size(), kWriters * 8U);
  EXPECT_LT(db_->stats().batches, kWriters * 8U);
}

TEST_F(DatabaseTest, ReadersSeeTheirSnapshotWhileWritersGoOn) {
  ASSERT_THAT(Put("k", "old"), IsOk());
  auto before = db_->Read();
  ASSERT_THAT(before, IsOk());
  ASSERT_THAT(Put("k", "new"), IsOk());
  EXPECT_EQ(**before->Get(tables_[0], "k"), "old");
  EXPECT_EQ(Get("k"), "new");
}

TEST_F(DatabaseTest, AFullMapIsResourceExhaustedAndTheStoreStaysUsable) {
  Open(uint64_t{256} << 10);
  const std::string big(16 << 10, 'v');
  absl::Status status = absl::OkStatus();
  int stored = 0;
  for (; status.ok() && stored < 100; ++stored) status = Put("big" + std::to_string(stored), big);
  ASSERT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(Get("big0"), big);
  for (int i = 0; i < stored - 1; ++i) {
    ASSERT_THAT(db_->Write({},
                           [&](WriteTxn& txn) {
                             return txn.Delete(tables_[0], "big" + std::to_string(i)).status();
                           }),
                IsOk());
  }
  EXPECT_THAT(Put("again", big), IsOk());
}

TEST_F(DatabaseTest, HooksRunOnlyAfterACommit) {
  int ran = 0;
  ASSERT_THAT(db_->Write({},
                         [&](WriteTxn& txn) -> absl::Status {
                           txn.AfterCommit([&] { ++ran; });
                           return Aborted("no");
                         }),
              StatusIs(absl::StatusCode::kAborted));
  EXPECT_EQ(ran, 0);
  ASSERT_THAT(db_->Write({},
                         [&](WriteTxn& txn) -> absl::Status {
                           txn.AfterCommit([&] { ++ran; });
                           return txn.Put(tables_[0], "k", "v");
                         }),
              IsOk());
  EXPECT_EQ(ran, 1);
}

TEST_F(DatabaseTest, AWriteInsideAWriteIsRefused) {
  EXPECT_THAT(db_->Write({}, [&](WriteTxn&) { return Put("k", "v"); }),
              StatusIs(absl::StatusCode::kInternal));
}

TEST_F(DatabaseTest, ACancelledWriteDoesNotRun) {
  std::stop_source stop;
  stop.request_stop();
  EXPECT_THAT(db_->Write({.stop = stop.get_token()},
                         [&](WriteTxn& txn) { return txn.Put(tables_[0], "k", "v"); }),
              StatusIs(absl::StatusCode::kCancelled));
  EXPECT_EQ(Get("k"), "<none>");
}

TEST(KeyTest, ComponentsSplitAgain) {
  EXPECT_THAT(SplitKey(JoinKey({"a", "", "c"})), ElementsAre("a", "", "c"));
  EXPECT_THAT(CheckComponent("name", std::string_view("a\0b", 3)),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace gantry::db
