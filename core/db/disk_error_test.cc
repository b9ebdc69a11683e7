// SPDX-License-Identifier: Apache-2.0
// A database on a disk that fails. This binary's pwrite() and writev() come before the C library's,
// so that LMDB's writes can be made to fail.
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/db/database.h"
#include "gtest/gtest.h"

namespace {

constexpr off_t kRootsEnd = off_t{2} * 4096;
std::atomic<bool> fail_roots = false;  // the two pages that a commit ends with
std::atomic<bool> fail_data = false;   // all others

}  // namespace

extern "C" ssize_t pwrite(int fd, const void* bytes, size_t count, off_t offset) {
  if (offset < kRootsEnd ? fail_roots : fail_data) {
    errno = EIO;
    return -1;
  }
  return ::syscall(SYS_pwrite64, fd, bytes, count, offset);
}

extern "C" ssize_t writev(int fd, const iovec* pieces, int count) {
  if (fail_data) {
    errno = EIO;
    return -1;
  }
  return ::syscall(SYS_writev, fd, pieces, count);
}

namespace gantry::db {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using Code = absl::StatusCode;

class DiskErrorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Open();
    ASSERT_THAT(Put("k", "v"), IsOk());
  }
  void TearDown() override { fail_roots = fail_data = false; }

  void Open() {
    db_.reset();
    tables_.clear();
    constexpr std::array names = {"a", "b"};
    auto db = Database::Open({.path = dir_.path() / "db", .map_size_bytes = uint64_t{1} << 30},
                             names, &tables_);
    ASSERT_THAT(db, IsOk());
    db_ = *std::move(db);
  }

  absl::Status Put(std::string_view key, std::string_view value) {
    return db_->Write({}, [&](WriteTxn& txn) { return txn.Put(tables_[1], key, value); });
  }
  static std::string Get(const ReadTxn& txn, Table table, std::string_view key) {
    auto value = txn.Get(table, key);
    EXPECT_THAT(value, IsOk());
    return value.ok() && value->has_value() ? std::string(**value) : "<none>";
  }
  std::string Get(std::string_view key) {
    auto txn = db_->Read();
    EXPECT_THAT(txn, IsOk());
    return txn.ok() ? Get(*txn, tables_[1], key) : "<error>";
  }

  testing::TempDir dir_;
  std::vector<Table> tables_;
  std::unique_ptr<Database> db_;
};

TEST_F(DiskErrorTest, AFailedWriteIsInternalAndTheStoreStaysUsable) {
  for (std::atomic<bool>* fault : {&fail_data, &fail_roots}) {
    *fault = true;
    for (int i = 0; i < 3; ++i) {
      EXPECT_THAT(Put("lost", "v"), StatusIs(Code::kInternal));
      EXPECT_EQ(Get("k"), "v") << "reads go on while the disk refuses writes";
      EXPECT_EQ(Get("lost"), "<none>");
    }
    *fault = false;
    EXPECT_THAT(Put("kept", "v"), IsOk());
    EXPECT_EQ(Get("kept"), "v");
    EXPECT_EQ(Get("lost"), "<none>");
  }
}

TEST_F(DiskErrorTest, ADatabaseOpensForReadingWhereNothingCanBeWritten) {
  fail_data = fail_roots = true;
  Open();
  EXPECT_EQ(Get("k"), "v");
  EXPECT_THAT(Put("lost", "v"), StatusIs(Code::kInternal));
  fail_data = fail_roots = false;
  EXPECT_THAT(Put("kept", "v"), IsOk());
  EXPECT_EQ(Get("kept"), "v");
}

TEST_F(DiskErrorTest, ReadersOfTheFailedEnvironmentEndInPeace) {
  auto old = std::optional(db_->Read());
  ASSERT_THAT(*old, IsOk());
  fail_roots = true;
  EXPECT_THAT(Put("lost", "v"), StatusIs(Code::kInternal));
  fail_roots = false;
  EXPECT_THAT(Put("early", "v"), StatusIs(Code::kUnavailable));
  EXPECT_THAT(db_->Read(), StatusIs(Code::kUnavailable));
  EXPECT_EQ(Get(**old, tables_[1], "k"), "v");
  old.reset();
  EXPECT_THAT(Put("kept", "v"), IsOk());
  EXPECT_EQ(Get("kept"), "v");
  EXPECT_EQ(Get("k"), "v");
}

}  // namespace
}  // namespace gantry::db
