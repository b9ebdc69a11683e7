// SPDX-License-Identifier: Apache-2.0
#include "proxies/content/remote_backend.h"

#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "gtest/gtest.h"
#include "proxies/content/testing/fake_store.h"

namespace gantry::proxies {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::IsOkAndHolds;
using ::gantry::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::Eq;
using ::testing::HasSubstr;
using Code = absl::StatusCode;

const Context kCtx{.ns = "ns", .lease = "l"};
constexpr char kRef[] = "ns/1/ref";

class RemoteBackendTest : public ::testing::Test {
 protected:
  std::unique_ptr<content::BackendWriter> MustOpen(const std::string& ref, int64_t total = 0) {
    auto writer = backend_.OpenWriter(kCtx, ref, total);
    EXPECT_THAT(writer, IsOk());
    return writer.ok() ? *std::move(writer) : nullptr;
  }
  void Add(const std::string& bytes) {
    const auto writer = MustOpen("ns/1/" + bytes);
    ASSERT_THAT(writer->Write(bytes), IsOk());
    ASSERT_THAT(writer->Publish(Digest::Of(bytes)), IsOk());
  }
  std::vector<std::string> Blobs() {
    std::vector<std::string> blobs;
    EXPECT_THAT(backend_.ForEachBlob(kCtx,
                                     [&](const Digest& digest) {
                                       blobs.push_back(digest.str());
                                       return absl::OkStatus();
                                     }),
                IsOk());
    return blobs;
  }

  testing::TempDir dir_;
  FakeStore store_{dir_.path() / "s"};
  RemoteBackend backend_{
      "remote", (dir_.path() / "s").string(), {.budget = absl::Milliseconds(500), .max_calls = 2}};
};

TEST_F(RemoteBackendTest, WhatIsWrittenIsABlobOverThere) {
  const auto writer = MustOpen(kRef, 6);
  EXPECT_THAT(writer->Write("abc"), IsOk());
  EXPECT_THAT(writer->Write("def"), IsOk());
  EXPECT_EQ(writer->status().offset, 6);
  EXPECT_EQ(writer->status().total, 6);
  EXPECT_THAT(writer->Flush(DigestAlgorithm::kSha256), IsOkAndHolds(Digest::Of("abcdef")));
  EXPECT_THAT(writer->Publish(Digest::Of("abcdef")), IsOk());

  EXPECT_THAT(Blobs(), ElementsAre(Digest::Of("abcdef").str()));
  EXPECT_THAT(backend_.Size(kCtx, Digest::Of("abcdef")), IsOkAndHolds(Eq(6)));
  EXPECT_THAT(backend_.Size(kCtx, Digest::Of("other")), IsOkAndHolds(Eq(std::nullopt)));
  EXPECT_THAT(backend_.Delete(kCtx, Digest::Of("abcdef")), IsOk());
  EXPECT_THAT(backend_.Delete(kCtx, Digest::Of("abcdef")), IsOk());
  EXPECT_THAT(Blobs(), ElementsAre());
}

TEST_F(RemoteBackendTest, NamespaceTravelsAndLeaseDoesNot) {
  Add("bytes");
  EXPECT_EQ(store_.last_namespace(), "ns");
  EXPECT_FALSE(store_.saw_lease());
  // The collector's calls have no namespace; an ingest's ref names its own.
  EXPECT_THAT(backend_.Abort({}, "other/1/ref"), IsOk());
  EXPECT_EQ(store_.last_namespace(), "other");
}

TEST_F(RemoteBackendTest, BlobIsReadAtAnyPlace) {
  Add("0123456789");
  const auto reader = backend_.Open(kCtx, Digest::Of("0123456789"));
  ASSERT_THAT(reader, IsOk());
  std::string buffer(4, ' ');
  EXPECT_THAT((*reader)->ReadAt(3, buffer), IsOkAndHolds(4U));
  EXPECT_EQ(buffer, "3456");
  EXPECT_THAT((*reader)->ReadAt(8, buffer), IsOkAndHolds(2U));
  EXPECT_EQ(buffer.substr(0, 2), "89");
  EXPECT_THAT((*reader)->ReadAt(10, buffer), IsOkAndHolds(0U));
  EXPECT_THAT(backend_.Open(kCtx, Digest::Of("x")), StatusIs(Code::kNotFound));
}

TEST_F(RemoteBackendTest, IngestIsResumedTruncatedAndAborted) {
  {
    const auto writer = MustOpen(kRef);
    EXPECT_THAT(writer->Write("half"), IsOk());
  }
  const auto status = backend_.Status(kCtx, kRef);
  ASSERT_THAT(status, IsOk());
  EXPECT_EQ((*status)->offset, 4);
  const auto writer = MustOpen(kRef);
  EXPECT_EQ(writer->status().offset, 4);
  EXPECT_EQ(writer->Current(), Digest::Of("half"));
  EXPECT_THAT(writer->Truncate(), IsOk());
  EXPECT_EQ(writer->status().offset, 0);
  EXPECT_THAT(writer->Write("new"), IsOk());
  EXPECT_EQ(writer->Current(), Digest::Of("new"));

  std::vector<std::string> refs;
  EXPECT_THAT(backend_.ForEachIngest(kCtx,
                                     [&](const std::string& ref) {
                                       refs.push_back(ref);
                                       return absl::OkStatus();
                                     }),
              IsOk());
  EXPECT_THAT(refs, ElementsAre(kRef));
  EXPECT_THAT(backend_.Abort(kCtx, kRef), IsOk());
  EXPECT_THAT(backend_.Status(kCtx, kRef), IsOkAndHolds(Eq(std::nullopt)));
}

TEST_F(RemoteBackendTest, BlobThatIsThereAlreadyIsSuccess) {
  Add("same");
  const auto writer = MustOpen(kRef);
  EXPECT_THAT(writer->Write("same"), IsOk());
  EXPECT_THAT(writer->Publish(Digest::Of("same")), IsOk());
}

TEST_F(RemoteBackendTest, ErrorKeepsItsCodeAndText) {
  store_.FailWith({grpc::StatusCode::DATA_LOSS, "rotten: data loss"});
  EXPECT_THAT(backend_.Size(kCtx, Digest::Of("x")),
              StatusIs(Code::kDataLoss, HasSubstr("rotten: data loss")));
  EXPECT_THAT(backend_.OpenWriter(kCtx, kRef, 0), StatusIs(Code::kDataLoss));
}

TEST_F(RemoteBackendTest, StoreThatHangsCostsItsBudgetAndNotEveryThread) {
  store_.Hang();
  const absl::Time start = absl::Now();
  std::vector<std::jthread> others;
  for (int i = 0; i < 2; ++i) {
    others.emplace_back([&] {
      EXPECT_THAT(backend_.Size(kCtx, Digest::Of("x")), StatusIs(Code::kDeadlineExceeded));
    });
  }
  store_.WaitForHanging(2);
  EXPECT_THAT(backend_.Size(kCtx, Digest::Of("x")), StatusIs(Code::kUnavailable));
  EXPECT_THAT(backend_.OpenWriter(kCtx, kRef, 0), StatusIs(Code::kUnavailable));
  others.clear();
  EXPECT_THAT(backend_.OpenWriter(kCtx, kRef, 0), StatusIs(Code::kDeadlineExceeded));
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
}

TEST_F(RemoteBackendTest, CallerThatGoesAwayEndsTheCall) {
  store_.Hang();
  std::stop_source stop;
  std::jthread canceller([&] {
    store_.WaitForHanging(1);
    stop.request_stop();
  });
  RemoteBackend patient("remote", (dir_.path() / "s").string(), {.budget = absl::Minutes(5)});
  EXPECT_THAT(patient.Size({.ns = "ns", .stop = stop.get_token()}, Digest::Of("x")),
              StatusIs(Code::kCancelled));
}

TEST(RemoteBackendDownTest, StoreThatIsDownIsUnavailableUntilItComes) {
  testing::TempDir dir;
  const std::string socket = (dir.path() / "s").string();
  RemoteBackend backend("remote", socket);
  EXPECT_THAT(backend.Size(kCtx, Digest::Of("x")), StatusIs(Code::kUnavailable));
  FakeStore store(socket);
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  absl::StatusOr<std::optional<int64_t>> size = Unavailable("not asked");
  while (absl::IsUnavailable(size.status()) && absl::Now() < deadline) {
    size = backend.Size(kCtx, Digest::Of("x"));
  }
  EXPECT_THAT(size, IsOkAndHolds(Eq(std::nullopt)));
}

}  // namespace
}  // namespace gantry::proxies
