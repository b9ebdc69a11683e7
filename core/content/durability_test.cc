// SPDX-License-Identifier: Apache-2.0
// What is forced to disk before something is acknowledged. This binary's fsync() and fdatasync()
// come before the C library's, note what they are called for, and may fail.
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "core/base/testing/matchers.h"
#include "core/content/testing/store_fixture.h"
#include "gtest/gtest.h"

namespace {

std::mutex synced_mutex;
std::set<std::string> synced;
std::atomic<bool> fail_data_sync = false;  // the next fdatasync(), once

void Note(int fd) {
  std::error_code unknown;
  const auto path = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), unknown);
  const std::lock_guard lock(synced_mutex);
  synced.insert(path.string());
}

std::set<std::string> TakeSynced() {
  const std::lock_guard lock(synced_mutex);
  return std::exchange(synced, {});
}

}  // namespace

extern "C" int fsync(int fd) {
  Note(fd);
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

extern "C" int fdatasync(int fd) {
  Note(fd);
  if (fail_data_sync.exchange(false)) {
    errno = EIO;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}

namespace gantry::content {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;

class DurabilityTest : public StoreFixture {
 protected:
  // Writes the bytes under a ref of their own, up to the commit.
  std::unique_ptr<IngestWriter> Written(const Context& ctx, const std::string& bytes) {
    auto writer = MustOpen(ctx, {.ref = "write-" + bytes});
    EXPECT_THAT(writer->Write(bytes), IsOk());
    return writer;
  }
  std::string Blob(const std::string& bytes) const { return BlobFile(Digest::Of(bytes)); }

  const std::string blobs_ = content_ / "blobs/sha256";
};

TEST_F(DurabilityTest, ABlobIsOnDiskWithItsNameWhoeverPutItThere) {
  auto first = Written(a_, "x");
  auto second = Written(b_, "x");
  TakeSynced();
  ASSERT_THAT(first->Commit(a_, 0, {}, {}), IsOk());
  EXPECT_THAT(TakeSynced(), IsSupersetOf({content_ / "blobs", content_ / "blobs/sha256"}));
  ASSERT_THAT(second->Commit(b_, 0, {}, {}), IsOk());
  EXPECT_THAT(TakeSynced(), IsSupersetOf({blobs_, Blob("x")}));
  auto shared = MustOpen({.ns = "c"}, {.ref = "r", .expected = Digest::Of("x").str()});
  TakeSynced();
  ASSERT_THAT(shared->Commit({.ns = "c"}, 0, {}, {}), IsOk());
  EXPECT_THAT(TakeSynced(), IsSupersetOf({blobs_, Blob("x")}));
}

TEST_F(DurabilityTest, AnIngestThatIsLeftIsOnDiskWithAllThatDescribesIt) {
  auto writer = MustOpen(a_, {.ref = "r", .total = 5});
  ASSERT_THAT(writer->Write("x"), IsOk());
  TakeSynced();
  writer.reset();
  const std::string folder = content_ / "ingest" / Digest::Of("a/1/r").hex();
  EXPECT_THAT(TakeSynced(), IsSupersetOf({folder + "/data", folder + "/ref", folder + "/startedat",
                                          folder + "/updatedat", folder + "/total", folder,
                                          std::string(content_ / "ingest")}));
}

TEST_F(DurabilityTest, WhatFailsAroundAnIngestDoesNotKeepItsDataFromTheDisk) {
  auto writer = MustOpen(a_, {.ref = "r"});
  ASSERT_THAT(writer->Write("x"), IsOk());
  const std::filesystem::path folder = content_ / "ingest" / Digest::Of("a/1/r").hex();
  std::filesystem::remove(folder / "updatedat");
  std::filesystem::create_directories(folder / "updatedat" / "in the way");
  std::filesystem::remove(folder / "ref");
  std::filesystem::create_symlink("ref", folder / "ref");
  TakeSynced();
  writer.reset();
  EXPECT_THAT(TakeSynced(),
              IsSupersetOf({std::string(folder / "data"), std::string(folder / "startedat"),
                            std::string(folder), std::string(content_ / "ingest")}));
}

// The kernel reports pages that it could not write once; from then on they look written.
TEST_F(DurabilityTest, WhatCouldNotBeFlushedIsWrittenAnew) {
  auto writer = Written(a_, "x");
  fail_data_sync = true;
  EXPECT_FALSE(writer->Commit(a_, 0, {}, {}).ok());
  writer.reset();
  auto again = MustOpen(a_, {.ref = "write-x"});
  ASSERT_EQ(again->offset(), 0);
  ASSERT_THAT(again->Write("x"), IsOk());
  fail_data_sync = true;
  again.reset();  // to be kept for whoever goes on with it
  auto last = MustOpen(a_, {.ref = "write-x"});
  ASSERT_EQ(last->offset(), 0);
  ASSERT_THAT(last->Write("x"), IsOk());
  EXPECT_THAT(last->Commit(a_, 0, {}, {}), IsOk());
}

TEST_F(DurabilityTest, NothingIsFlushedForAnIngestThatGoesOrIsAsItWas) {
  ASSERT_THAT(Written(a_, "x")->Commit(a_, 0, {}, {}), IsOk());
  auto dropped = MustOpen(a_, {.ref = "dropped"});
  ASSERT_THAT(dropped->Write("x"), IsOk());
  auto abandoned = MustOpen(a_, {.ref = "abandoned"});
  ASSERT_THAT(abandoned->Write("x"), IsOk());
  ASSERT_THAT(MustOpen(a_, {.ref = "idle"})->Write("x"), IsOk());
  auto idle = MustOpen(a_, {.ref = "idle"});
  TakeSynced();
  EXPECT_THAT(dropped->CheckExpected(a_, Digest::Of("x").str()),
              StatusIs(absl::StatusCode::kAlreadyExists));
  dropped.reset();
  abandoned->Abandon();
  abandoned.reset();
  idle.reset();
  EXPECT_THAT(TakeSynced(), Not(Contains(HasSubstr("/ingest"))));
}

TEST_F(DurabilityTest, ADeletionIsOnDiskBeforeItIsForgotten) {
  ASSERT_THAT(Written(a_, "x")->Commit(a_, 0, {}, {}), IsOk());
  ASSERT_THAT(store_->Delete(a_, Digest::Of("x").str()), IsOk());
  TakeSynced();
  ASSERT_THAT(store_->CleanUp({}), IsOk());
  EXPECT_FALSE(std::filesystem::exists(Blob("x")));
  EXPECT_THAT(TakeSynced(), Contains(blobs_));
}

}  // namespace
}  // namespace gantry::content
