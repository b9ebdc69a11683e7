// SPDX-License-Identifier: Apache-2.0
// A database on a file system that fills up.
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/db/database.h"
#include "core/kernel/file.h"
#include "core/kernel/mount.h"
#include "core/kernel/testing/matchers.h"
#include "core/kernel/testing/require.h"
#include "gtest/gtest.h"

namespace gantry::db {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::gantry::testing::Succeeds;
constexpr auto kExhausted = absl::StatusCode::kResourceExhausted;

class FullDiskTest : public ::testing::Test {
 protected:
  void SetUp() override {
    gantry::testing::RequirePrivateMounts();
    if (IsSkipped() || HasFatalFailure()) return;
    ASSERT_THAT(kernel::Mount({"tmpfs", "tmpfs", {"size=8m"}}, dir_.path().string()), Succeeds());
    Open();
  }
  void TearDown() override {
    db_.reset();
    if (IsSkipped()) return;
    EXPECT_THAT(kernel::UnmountTree(dir_.path().string(), MNT_DETACH), Succeeds());
  }

  void Open() {
    db_.reset();
    tables_.clear();
    constexpr std::array names = {"a", "b"};
    auto db = Database::Open({.path = dir_.path() / "db", .map_size_bytes = uint64_t{1} << 30},
                             names, &tables_);
    ASSERT_THAT(db, IsOk());
    db_ = *std::move(db);
  }

  absl::Status Put(const std::string& key, const std::string& value) {
    return db_->Write({}, [&](WriteTxn& txn) { return txn.Put(tables_[0], key, value); });
  }
  absl::Status Delete(const std::string& key) {
    return db_->Write(
        {}, [&](WriteTxn& txn) -> absl::Status { return txn.Delete(tables_[0], key).status(); });
  }
  std::string Get(const std::string& key) {
    auto txn = db_->Read();
    EXPECT_THAT(txn, IsOk());
    auto value = txn->Get(tables_[0], key);
    EXPECT_THAT(value, IsOk());
    return value->has_value() ? std::string(**value) : "<none>";
  }
  // Stores rows until there is no room; how many.
  int Fill(size_t size) {
    for (int i = 0; i < 100'000; ++i) {
      const absl::Status put = Put(std::to_string(i), std::string(size, 'v'));
      if (put.ok()) continue;
      EXPECT_THAT(put, StatusIs(kExhausted));
      return i;
    }
    ADD_FAILURE() << "never full";
    return 0;
  }
  // Takes all of the disk, as others do.
  void FillByOthers() {
    const auto file =
        kernel::Open((dir_.path() / "ballast").string(), O_CREAT | O_WRONLY | O_CLOEXEC);
    ASSERT_TRUE(file);
    const std::string block(4096, 'x');
    while (::write(file->get(), block.data(), block.size()) > 0) {
    }
  }

  testing::TempDir dir_;
  std::vector<Table> tables_;
  std::unique_ptr<Database> db_;
};

TEST_F(FullDiskTest, EveryRowCanBeDeletedFromADatabaseThatFilledTheDisk) {
  for (const size_t size : {size_t{100}, size_t{4000}, size_t{100'000}}) {
    const int stored = Fill(size);
    EXPECT_GT(stored, 10);
    EXPECT_EQ(Get("0").size(), size);
    for (int i = 0; i < stored; ++i) ASSERT_THAT(Delete(std::to_string(i)), IsOk()) << i;
    EXPECT_THAT(Put("again", std::string(size, 'v')), IsOk());
    ASSERT_THAT(Delete("again"), IsOk());
  }
}

TEST_F(FullDiskTest, RowsCanBeDeletedWhenOthersFilledTheDisk) {
  constexpr int kRows = 400;
  for (int i = 0; i < kRows; ++i)
    ASSERT_THAT(Put(std::to_string(i), std::string(200, 'v')), IsOk());
  FillByOthers();
  EXPECT_THAT(Put("more", std::string(2000, 'v')), StatusIs(kExhausted));
  EXPECT_EQ(Get("more"), "<none>");
  int notes = 0;
  while (notes < 10'000 && Put("note" + std::to_string(notes), std::string(200, 'n')).ok()) ++notes;
  EXPECT_GT(notes, 5);
  EXPECT_LT(notes, 5000);
  EXPECT_THAT(Put("0", std::string(200, 'w')), IsOk()) << "as large as what it replaces";
  Open();
  EXPECT_EQ(Get("0"), std::string(200, 'w'));
  for (int i = 0; i < kRows; ++i) ASSERT_THAT(Delete(std::to_string(i)), IsOk()) << i;
  EXPECT_THAT(Put("more", std::string(200, 'v')), IsOk()) << "deletions make room";
  EXPECT_THAT(Put("large", std::string(1 << 20, 'v')), StatusIs(kExhausted));
  ASSERT_EQ(::unlink((dir_.path() / "ballast").c_str()), 0);
  EXPECT_THAT(Put("large", std::string(1 << 20, 'v')), IsOk());
}

TEST_F(FullDiskTest, AWriteThatFailsTakesNoOtherOfItsBatchAlong) {
  ASSERT_THAT(Put("old", std::string(200, 'v')), IsOk());
  FillByOthers();
  std::vector<std::jthread> callers;
  std::array<absl::Status, 32> results;
  for (size_t i = 0; i < results.size(); ++i) {
    callers.emplace_back([this, i, &result = results[i]] {
      result = i % 2 == 0 ? Put("new" + std::to_string(i), std::string(2000, 'v'))
                          : Delete(std::to_string(i));
    });
  }
  callers.clear();
  for (size_t i = 0; i < results.size(); ++i) {
    EXPECT_EQ(results[i].code(), i % 2 == 0 ? kExhausted : absl::StatusCode::kOk) << results[i];
  }
}

}  // namespace
}  // namespace gantry::db
