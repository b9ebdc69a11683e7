// SPDX-License-Identifier: Apache-2.0
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "core/base/testing/matchers.h"
#include "core/content/content_resource.h"
#include "core/content/testing/store_fixture.h"
#include "core/db/key.h"
#include "core/gc/collector.h"
#include "gtest/gtest.h"
#include "proto/gantry/metadata/v1/records.pb.h"

namespace gantry::content {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using metadata::TableId;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

// While it lives, no file of this process grows beyond `bytes`; a write past it fails.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*const handler_)(int);
  rlimit before_ = {};
};

class ContentStoreTest : public StoreFixture {
 protected:
  absl::Status MakeLease(const std::string& ns, const std::string& lease) {
    return metadata_->Write({}, [&](metadata::WriteTxn& txn) {
      return txn.Put(TableId::kLeases, db::JoinKey({ns, lease}), {});
    });
  }

  std::vector<std::string> LeaseMembers() {
    std::vector<std::string> members;
    auto txn = metadata_->Read();
    EXPECT_THAT(
        txn->raw().ForEach(txn->table(TableId::kLeaseMembers), {},
                           [&](std::string_view key, std::string_view) -> absl::StatusOr<db::Scan> {
                             const auto parts = db::SplitKey(key);
                             members.push_back(std::string(parts[2]) + " " + std::string(parts[3]));
                             return db::Scan::kContinue;
                           }),
        IsOk());
    return members;
  }
};

TEST_F(ContentStoreTest, WhatACrashLeftHalfMadeIsGoneAfterTheNextStart) {
  const std::filesystem::path ingests = dir_.path() / "content" / "ingest";
  std::filesystem::create_directory(ingests / ".half");
  std::ofstream(ingests / ".half" / "startedat") << "x";
  EXPECT_THAT(store_->CleanUp({}), IsOk());
  EXPECT_TRUE(std::filesystem::exists(ingests / ".half"));  // it may be in the making
  Open(true);
  EXPECT_FALSE(std::filesystem::exists(ingests / ".half"));
}

TEST_F(ContentStoreTest, AnIngestThatCannotBeReadIsGoneAfterTheNextStart) {
  const std::filesystem::path ingests = dir_.path() / "content" / "ingest";
  for (const char* ref : {"cut", "renamed", "good"}) MustOpen(a_, {.ref = ref}).reset();
  const auto folder = [&](const std::string& ref) { return ingests / Digest::Of(ref).hex(); };
  std::ofstream(folder("a/1/cut") / "updatedat", std::ios::trunc).close();
  std::filesystem::rename(folder("a/1/renamed"), folder("a/1/other"));
  std::filesystem::create_directory(ingests / "lost+found");
  Open(true);
  EXPECT_FALSE(std::filesystem::exists(folder("a/1/cut")));
  EXPECT_FALSE(std::filesystem::exists(folder("a/1/other")));
  EXPECT_TRUE(std::filesystem::exists(folder("a/1/good")));
  EXPECT_TRUE(std::filesystem::exists(ingests / "lost+found"));
  EXPECT_EQ(MustOpen(a_, {.ref = "cut"})->offset(), 0);
}

TEST_F(ContentStoreTest, AnIngestThatCannotBeReadForNowStays) {
  ASSERT_THAT(MustOpen(a_, {.ref = "r"})->Write("abc"), IsOk());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const bool opened = store_->OpenWriter(a_, {.ref = "r"}).ok();
  const bool told = store_->Status(a_, "r").ok();
  const bool listed = store_->ListStatuses(a_).ok();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_FALSE(opened);
  EXPECT_FALSE(told);
  EXPECT_TRUE(listed);
  EXPECT_EQ(MustOpen(a_, {.ref = "r"})->offset(), 3);
}

TEST_F(ContentStoreTest, AnUnreadableIngestIsBegunAnew) {
  ASSERT_THAT(MustOpen(a_, {.ref = "r"})->Write("abc"), IsOk());
  const auto folder = dir_.path() / "content" / "ingest" / Digest::Of("a/1/r").hex();
  std::filesystem::remove(folder / "ref");
  std::filesystem::create_symlink("ref", folder / "ref");  // Ends nowhere: too many links.
  EXPECT_EQ(MustOpen(a_, {.ref = "r"})->offset(), 0);
  ASSERT_THAT(MustOpen(a_, {.ref = "r"})->Write("ab"), IsOk());
  EXPECT_EQ(MustOpen(a_, {.ref = "r"})->offset(), 2);
}

TEST_F(ContentStoreTest, ARefThatIsTooLongIsRefused) {
  EXPECT_THAT(store_->OpenWriter(a_, {.ref = std::string(4097, 'r')}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("4097")));
  { ASSERT_THAT(MustOpen(a_, {.ref = std::string(4096, 'r')})->Write("x"), IsOk()); }
  EXPECT_EQ(MustOpen(a_, {.ref = std::string(4096, 'r')})->offset(), 1);
}

TEST_F(ContentStoreTest, WhatTheDiskHasLostIsNotFoundAndCanBeWrittenAnew) {
  const Digest gone = Add(a_, "gone");
  const Digest cut = Add(a_, "cut");
  const Digest whole = Add(a_, "whole");
  std::filesystem::remove(BlobFile(gone));
  std::filesystem::resize_file(BlobFile(cut), 1);
  Open(true);
  const auto lost = store_->FindLost({});
  ASSERT_THAT(lost, IsOk());
  EXPECT_THAT(*lost, UnorderedElementsAre("a/" + gone.str(), "a/" + cut.str()));
  const auto listed = store_->List(a_, {}, 0);
  ASSERT_THAT(listed, IsOk());
  ASSERT_EQ(listed->size(), 1U);
  EXPECT_EQ(listed->front().digest, whole);
  for (const auto& [digest, bytes] :
       {std::pair(gone, std::string("gone")), std::pair(cut, std::string("cut"))}) {
    EXPECT_THAT(store_->Get(a_, digest.str()), StatusIs(absl::StatusCode::kNotFound));
    EXPECT_THAT(store_->Open(a_, digest.str()), StatusIs(absl::StatusCode::kNotFound));
    for (const Context& ctx : {b_, a_}) {
      auto writer = MustOpen(ctx, {.ref = "again", .expected = digest.str()});
      ASSERT_NE(writer, nullptr);
      EXPECT_EQ(writer->offset(), 0) << "a lost blob was taken for one that is there";
      if (ctx.ns == "b") continue;
      ASSERT_THAT(writer->Write(bytes), IsOk());
      EXPECT_THAT(writer->Commit(ctx, 0, digest.str(), {}),
                  StatusIs(absl::StatusCode::kAlreadyExists));
    }
    EXPECT_THAT(store_->Get(a_, digest.str()), IsOk());
    EXPECT_EQ(std::filesystem::file_size(BlobFile(digest)), bytes.size());
  }
  EXPECT_THAT(*store_->FindLost({}), ElementsAre());
}

TEST_F(ContentStoreTest, LongWorkEndsWithItsCaller) {
  { ASSERT_THAT(MustOpen(a_, {.ref = "resumed"})->Write("abc"), IsOk()); }
  std::stop_source caller;
  Context ctx = a_;
  ctx.stop = caller.get_token();
  const Digest shared = Add(a_, "shared");
  Context in_b = b_;
  in_b.stop = caller.get_token();
  auto appended = MustOpen(in_b, {.ref = "appended", .expected = shared.str()});
  auto backend_writer = backend_->OpenWriter(ctx, "hashed", 0);
  ASSERT_THAT(backend_writer, IsOk());
  ASSERT_THAT((*backend_writer)->Write("abc"), IsOk());
  caller.request_stop();
  EXPECT_THAT(backend_->OpenWriter(ctx, "a/1/resumed", 0), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT((*backend_writer)->Flush(DigestAlgorithm::kSha512),
              StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(appended->Write("more"), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_EQ(MustOpen(a_, {.ref = "resumed"})->offset(), 3);
}

TEST_F(ContentStoreTest, ACommittedBlobIsReadOnlyAndReadsBack) {
  const Digest digest = Add(a_, "hello");
  const auto info = store_->Get(a_, digest.str());
  ASSERT_THAT(info, IsOk());
  EXPECT_EQ(info->size, 5);
  const auto permissions = std::filesystem::status(BlobFile(digest)).permissions();
  EXPECT_EQ(
      permissions & (std::filesystem::perms::owner_write | std::filesystem::perms::owner_exec),
      std::filesystem::perms::none);
  auto reader = store_->Open(a_, digest.str());
  ASSERT_THAT(reader, IsOk());
  std::string buffer(8, '\0');
  EXPECT_EQ((*reader)->ReadAt(1, buffer).value(), 4U);
  EXPECT_EQ(buffer.substr(0, 4), "ello");
  EXPECT_THAT(events_.Take(), ElementsAre("a /content/create"));
}

TEST_F(ContentStoreTest, LargeAndSmallWritesAreHashedInTheirOrder) {
  auto writer = MustOpen(a_, {.ref = "mixed"});
  std::string all;
  for (const size_t size : {size_t{3} << 20, size_t{5}, size_t{1} << 20, size_t{100} << 10}) {
    const std::string part(size, static_cast<char>('a' + all.size() % 7));
    ASSERT_THAT(writer->Write(part), IsOk());
    all += part;
    EXPECT_EQ(writer->Current(), Digest::Of(all));
  }
  EXPECT_THAT(writer->Commit(a_, static_cast<int64_t>(all.size()), Digest::Of(all).str(), {}),
              IsOk());
}

TEST_F(ContentStoreTest, AWriteThatFailsHalfWayLeavesWhatWasThereBefore) {
  auto writer = MustOpen(a_, {.ref = "full"});
  const std::string first(size_t{1} << 20, 'a');
  ASSERT_THAT(writer->Write(first), IsOk());
  {
    const FileSizeLimit limit(first.size() + 1000);
    EXPECT_THAT(writer->Write(std::string(size_t{1} << 20, 'b')),
                StatusIs(absl::StatusCode::kInternal));
  }
  EXPECT_EQ(writer->offset(), static_cast<int64_t>(first.size()));
  ASSERT_THAT(writer->Write("rest"), IsOk());
  EXPECT_THAT(writer->Commit(a_, 0, Digest::Of(first + "rest").str(), {}), IsOk());
}

TEST_F(ContentStoreTest, NamespacesDoNotSeeEachOthersBlobs) {
  const Digest digest = Add(a_, "x");
  EXPECT_THAT(store_->Get(b_, digest.str()), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(store_->Get(a_, "sha256:zz"), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(ContentStoreTest, OtherDigestAlgorithmsCommitUnderTheirOwnName) {
  const Digest wanted = Digest::Of("big", DigestAlgorithm::kSha512);
  auto writer = MustOpen(a_, {.ref = "r"});
  ASSERT_THAT(writer->Write("big"), IsOk());
  EXPECT_THAT(writer->Commit(a_, 3, wanted.str(), {}), IsOk());
  EXPECT_TRUE(std::filesystem::exists(dir_.path() / "content/blobs/sha512" / wanted.hex()));
}

TEST_F(ContentStoreTest, ABusyRefIsUnavailableAndFreeOnceItsWriterGoes) {
  auto writer = MustOpen(a_, {.ref = "r"});
  EXPECT_THAT(store_->OpenWriter(a_, {.ref = "r"}),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("locked for")));
  EXPECT_THAT(store_->OpenWriter(b_, {.ref = "r"}), IsOk());
  EXPECT_THAT(store_->Abort(a_, "r"), StatusIs(absl::StatusCode::kUnavailable));
  writer.reset();
  EXPECT_THAT(store_->OpenWriter(a_, {.ref = "r"}), IsOk());
}

TEST_F(ContentStoreTest, AnIngestResumesAfterARestartWithItsRunningDigest) {
  {
    auto writer = MustOpen(a_, {.ref = "r", .total = 10});
    ASSERT_THAT(writer->Write("01234"), IsOk());
  }
  Open(true);
  const auto status = store_->Status(a_, "r");
  ASSERT_THAT(status, IsOk());
  EXPECT_EQ(status->offset, 5);
  EXPECT_EQ(status->total, 10);
  auto writer = MustOpen(a_, {.ref = "r", .total = 10});
  EXPECT_EQ(writer->offset(), 5);
  EXPECT_EQ(writer->Current(), Digest::Of("01234"));
  ASSERT_THAT(writer->Write("56789"), IsOk());
  EXPECT_THAT(writer->Commit(a_, 10, Digest::Of("0123456789").str(), {}), IsOk());
  EXPECT_THAT(store_->Status(a_, "r"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ContentStoreTest, AnotherTotalStartsAnewWithoutAStaleTail) {
  {
    auto writer = MustOpen(a_, {.ref = "r", .total = 10});
    ASSERT_THAT(writer->Write("0123456"), IsOk());
  }
  auto writer = MustOpen(a_, {.ref = "r", .total = 3});
  EXPECT_EQ(writer->offset(), 0);
  ASSERT_THAT(writer->Write("abc"), IsOk());
  EXPECT_THAT(writer->Commit(a_, 3, Digest::Of("abc").str(), {}), IsOk());
}

TEST_F(ContentStoreTest, AWrongDigestOrSizeKeepsTheIngest) {
  auto writer = MustOpen(a_, {.ref = "r"});
  ASSERT_THAT(writer->Write("abc"), IsOk());
  EXPECT_THAT(
      writer->Commit(a_, 0, Digest::Of("x").str(), {}),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("unexpected commit digest")));
  EXPECT_THAT(writer->Commit(a_, 9, {}, {}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("failed size validation")));
  EXPECT_THAT(writer->Commit(a_, 0, {}, {{"k", std::string(5000, 'v')}}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  writer = nullptr;
  writer = MustOpen(a_, {.ref = "r"});
  EXPECT_EQ(writer->offset(), 3);
  EXPECT_THAT(writer->Commit(a_, 3, Digest::Of("abc").str(), {}), IsOk());
}

TEST_F(ContentStoreTest, ACallerThatGaveUpBeforeTheCommitKeepsItsIngest) {
  std::stop_source caller;
  Context ctx = a_;
  ctx.stop = caller.get_token();
  auto writer = MustOpen(a_, {.ref = "given-up"});
  ASSERT_THAT(writer->Write("abc"), IsOk());
  caller.request_stop();
  EXPECT_THAT(writer->Commit(ctx, 3, {}, {}), StatusIs(absl::StatusCode::kCancelled));
  writer.reset();
  writer = MustOpen(a_, {.ref = "given-up"});
  EXPECT_EQ(writer->status().offset, 3);
  EXPECT_THAT(writer->Commit(a_, 3, Digest::Of("abc").str(), {}), IsOk());
}

TEST_F(ContentStoreTest, AFileThatCouldNotBeRecordedIsLookedFor) {
  std::atomic<bool> dirty = false;
  metadata_->OnMutation([&](const metadata::Mutation& mutation) {
    if (mutation.dirty_content) dirty = true;
  });
  auto writer = MustOpen(a_, {.ref = "unowned"});
  ASSERT_THAT(writer->Write("abc"), IsOk());
  Context ctx = a_;
  ctx.lease = "gone";
  EXPECT_THAT(writer->Commit(ctx, 3, {}, {}), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_TRUE(dirty);
  metadata_->OnMutation(nullptr);
}

TEST_F(ContentStoreTest, AChangeOfLabelsIsNoDeletion) {
  const Digest digest = Add(a_, "abc");
  std::atomic<int> deletions = 0;
  metadata_->OnMutation([&](const metadata::Mutation& mutation) { deletions += mutation.dirty; });
  EXPECT_THAT(store_->Update(a_, digest.str(), {{"containerd.io/gc.root", "x"}}, {}), IsOk());
  EXPECT_THAT(store_->Update(a_, digest.str(), {}, {}), IsOk());
  EXPECT_EQ(deletions, 0);
  EXPECT_THAT(store_->Delete(a_, digest.str()), IsOk());
  EXPECT_EQ(deletions, 1);
  metadata_->OnMutation(nullptr);
}

TEST_F(ContentStoreTest, CommittingWhatIsThereDropsTheIngestAndAttachesTheLease) {
  const Digest digest = Add(a_, "abc");
  events_.Take();
  ASSERT_THAT(MakeLease("a", "l"), IsOk());
  const Context leased{.ns = "a", .lease = "l"};
  auto writer = MustOpen(leased, {.ref = "again"});
  ASSERT_THAT(writer->Write("abc"), IsOk());
  EXPECT_THAT(LeaseMembers(), ElementsAre("ingests again"));
  EXPECT_THAT(writer->Commit(leased, 0, {}, {}), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(LeaseMembers(), ElementsAre("content " + digest.str()));
  EXPECT_THAT(store_->Status(a_, "again"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(events_.Take(), ElementsAre());
}

TEST_F(ContentStoreTest, OpeningWithAnExistingDigestIsAlreadyExistsAndLeased) {
  const Digest digest = Add(a_, "abc");
  ASSERT_THAT(MakeLease("a", "l"), IsOk());
  EXPECT_THAT(store_->OpenWriter({.ns = "a", .lease = "l"}, {.ref = "r", .expected = digest.str()}),
              StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(LeaseMembers(), ElementsAre("content " + digest.str()));
  EXPECT_THAT(store_->OpenWriter({.ns = "a", .lease = "none"}, {.ref = "r"}),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ContentStoreTest, ASharedIngestIsCompleteFromTheStart) {
  const Digest digest = Add(a_, "abc");
  auto writer = MustOpen(b_, {.ref = "r", .expected = digest.str()});
  EXPECT_EQ(writer->offset(), 3);
  const auto status = store_->Status(b_, "r");
  ASSERT_THAT(status, IsOk());
  EXPECT_EQ(status->offset, 3);
  EXPECT_THAT(writer->Commit(b_, 4, {}, {}), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(writer->Commit(b_, 3, digest.str(), {}), IsOk());
  EXPECT_THAT(store_->Get(b_, digest.str()), IsOk());
}

TEST_F(ContentStoreTest, AFileIsSharedOnlyIfItsSizeIsKnownToBeWhole) {
  const Digest digest = Add(a_, "abc");
  const WriteOptions standing = {.ref = "standing", .expected = digest.str()};
  EXPECT_EQ(MustOpen(b_, standing)->offset(), 3);
  ASSERT_THAT(store_->Delete(a_, digest.str()), IsOk());
  EXPECT_EQ(MustOpen(b_, {.ref = "unknown", .expected = digest.str()})->offset(), 0);
  EXPECT_EQ(MustOpen(b_, {.ref = "told", .total = 3, .expected = digest.str()})->offset(), 3);
  EXPECT_EQ(MustOpen(b_, standing)->offset(), 3);
  std::filesystem::resize_file(BlobFile(digest), 2);
  EXPECT_EQ(MustOpen(b_, standing)->offset(), 0);
}

TEST_F(ContentStoreTest, AppendingToASharedIngestLeavesTheOriginalAlone) {
  const Digest digest = Add(a_, "abc");
  auto writer = MustOpen(b_, {.ref = "r", .expected = digest.str()});
  ASSERT_THAT(writer->Write("def"), IsOk());
  EXPECT_THAT(writer->Commit(b_, 6, Digest::Of("abcdef").str(), {}), IsOk());
  EXPECT_EQ(std::filesystem::file_size(BlobFile(digest)), 3U);
}

TEST_F(ContentStoreTest, UnderTheIsolatedPolicyOnlyALabelledNamespaceShares) {
  Open(false);
  const Digest digest = Add(a_, "abc");
  EXPECT_EQ(MustOpen(b_, {.ref = "r", .expected = digest.str()})->offset(), 0);
  for (const auto& [value, shared] :
       std::vector<std::pair<std::string, bool>>{{"True", false}, {"1", false}, {"true", true}}) {
    gantry::metadata::v1::NamespaceRecord record;
    (*record.mutable_labels())["containerd.io/namespace.shareable"] = value;
    ASSERT_THAT(metadata_->Write({},
                                 [&](metadata::WriteTxn& txn) {
                                   return txn.Put(TableId::kNamespaces, "a",
                                                  record.SerializeAsString());
                                 }),
                IsOk());
    EXPECT_EQ(MustOpen(b_, {.ref = "r" + value, .expected = digest.str()})->offset(),
              shared ? 3 : 0)
        << value;
  }
}

TEST_F(ContentStoreTest, AbortWaitsAMomentForAWriterThatIsAboutToGo) {
  auto writer = MustOpen(a_, {.ref = "r"});
  std::atomic<bool> started = false;
  std::thread aborter([&] {
    started = true;
    EXPECT_THAT(store_->Abort(a_, "r"), IsOk());
  });
  while (!started) std::this_thread::yield();
  writer.reset();
  aborter.join();
}

TEST_F(ContentStoreTest, CleanUpRemovesWhatNoRecordOwns) {
  const Digest kept = Add(a_, "kept");
  const Digest gone = Add(a_, "gone");
  const Digest pinned = Add(a_, "pinned");
  MustOpen(b_, {.ref = "share", .expected = pinned.str()}).reset();
  ASSERT_THAT(MustOpen(a_, {.ref = "open"})->Write("x"), IsOk());
  auto busy = MustOpen(a_, {.ref = "busy"});
  ASSERT_THAT(store_->Delete(a_, gone.str()), IsOk());
  ASSERT_THAT(store_->Delete(a_, pinned.str()), IsOk());
  EXPECT_TRUE(std::filesystem::exists(BlobFile(gone)));
  ASSERT_THAT(
      metadata_->Write(
          {},
          [&](metadata::WriteTxn& txn) -> absl::Status {
            RETURN_IF_ERROR(txn.Delete(TableId::kIngests, db::JoinKey({"a", "busy"})).status());
            return txn.Delete(TableId::kIngests, db::JoinKey({"a", "open"})).status();
          }),
      IsOk());
  ASSERT_THAT(store_->CleanUp({}), IsOk());
  EXPECT_TRUE(std::filesystem::exists(BlobFile(kept)));
  EXPECT_TRUE(std::filesystem::exists(BlobFile(pinned)));
  EXPECT_FALSE(std::filesystem::exists(BlobFile(gone)));
  const auto folders = std::filesystem::directory_iterator(dir_.path() / "content/ingest");
  EXPECT_EQ(std::distance(begin(folders), end(folders)), 1);  // The one that is being written.
}

TEST_F(ContentStoreTest, AFileAmongTheAlgorithmsIsPassedOver) {
  const Digest digest = Add(a_, "abc");
  std::ofstream(dir_.path() / "content" / "blobs" / "README") << "not ours";
  std::vector<Digest> found;
  EXPECT_THAT(backend_->ForEachBlob({},
                                    [&](const Digest& blob) {
                                      found.push_back(blob);
                                      return absl::OkStatus();
                                    }),
              IsOk());
  EXPECT_THAT(found, ElementsAre(digest));
}

TEST_F(ContentStoreTest, TheFolderOfAnIngestFollowsTheRef) {
  auto writer = MustOpen(a_, {.ref = "layer", .total = 7});
  const auto folder = dir_.path() / "content/ingest" / Digest::Of("a/1/layer").hex();
  std::string ref;
  std::getline(std::ifstream(folder / "ref"), ref);
  EXPECT_EQ(ref, "a/1/layer");
  std::string total;
  std::getline(std::ifstream(folder / "total"), total);
  EXPECT_EQ(total, "7");
  for (const char* name : {"data", "startedat", "updatedat"})
    EXPECT_TRUE(std::filesystem::exists(folder / name)) << name;
}

TEST_F(ContentStoreTest, ACollectionKeepsLiveIngestsAndRootsOnly) {
  BlobResource blobs;
  IngestResource ingests;
  ContentBackend backend(*store_);
  gc::Collector collector(*metadata_, {&blobs, &ingests}, {{"content", &backend}});
  metadata_->OnMutation(
      [&](const metadata::Mutation& mutation) { collector.NoteMutation(mutation); });
  const Digest plain = Add(a_, "plain");
  const Digest rooted = Add(a_, "rooted");
  ASSERT_THAT(store_->Update(a_, rooted.str(), {{"containerd.io/gc.root", "false"}}, {}), IsOk());
  MustOpen(a_, {.ref = "open"}).reset();
  ASSERT_THAT(collector.Collect({}), IsOk());
  EXPECT_FALSE(std::filesystem::exists(BlobFile(plain)));
  EXPECT_TRUE(std::filesystem::exists(BlobFile(rooted)));
  EXPECT_THAT(store_->Status(a_, "open"), IsOk());
  clock_.Advance(absl::Hours(20));
  MustOpen(a_, {.ref = "open"}).reset();  // a day more
  clock_.Advance(absl::Hours(20));
  ASSERT_THAT(collector.Collect({}), IsOk());
  EXPECT_THAT(store_->Status(a_, "open"), IsOk());
  clock_.Advance(absl::Hours(5));
  ASSERT_THAT(collector.Collect({}), IsOk());
  EXPECT_THAT(store_->Status(a_, "open"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path() / "content/ingest"));
}

}  // namespace
}  // namespace gantry::content
