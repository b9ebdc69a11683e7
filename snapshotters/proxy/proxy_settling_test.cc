// SPDX-License-Identifier: Apache-2.0
// What becomes of steps whose answer was lost, and of calls to a backend that hangs.
#include <atomic>
#include <string>

#include "absl/time/clock.h"
#include "core/base/testing/matchers.h"
#include "gtest/gtest.h"
#include "snapshotters/proxy/proxy_snapshotter.h"
#include "snapshotters/proxy/testing/proxy_fixture.h"

namespace gantry::proxy {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using metadata::TableId;
using snapshots::Info;
using snapshots::Intent;
using snapshots::Kind;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Code = absl::StatusCode;
using When = FakeBackend::When;
namespace pb = ::containerd::services::snapshots::v1;

class ProxySettlingTest : public ProxyFixture {};

TEST_F(ProxySettlingTest, APrepareWithoutAnswerIsUndone) {
  Restart({.budgets = {.create = absl::Milliseconds(100)}});
  backend_->SetHook([this](When when, const std::string& method, const std::string&) {
    if (method == "Prepare" && when == When::kAfter) backend_->Block();
    return absl::OkStatus();
  });
  EXPECT_THAT(Prepare("key"), StatusIs(Code::kDeadlineExceeded));
  EXPECT_TRUE(AllSettled());
  EXPECT_THAT(Backend(), IsEmpty());
  backend_->SetHook({});
  backend_->Unblock();
  EXPECT_THAT(Prepare("key"), IsOk());
}

TEST_F(ProxySettlingTest, ABackendThatMakesItLateAfterAllIsUndoneToo) {
  Restart({.budgets = {.create = absl::Milliseconds(50)}});
  backend_->SetHook([this](When when, const std::string& method, const std::string&) {
    if (method == "Prepare" && when == When::kBefore) backend_->Block();
    return absl::OkStatus();
  });
  EXPECT_THAT(Prepare("key"), StatusIs(Code::kDeadlineExceeded));
  // Asked to remove it, the backend knows nothing yet.
  ASSERT_TRUE(Eventually([&] { return backend_->calls("Remove").size() >= 2; }));
  EXPECT_THAT(Keys(TableId::kSnapshotIntents), SizeIs(1));
  backend_->SetHook({});
  backend_->Unblock();
  EXPECT_TRUE(AllSettled());
  EXPECT_THAT(Backend(), IsEmpty());
}

TEST_F(ProxySettlingTest, ACommitWithoutAnswerIsCarriedToItsEnd) {
  ASSERT_THAT(Prepare("key"), IsOk());
  Restart({.budgets = {.commit = absl::Milliseconds(100)}});
  backend_->SetHook([this](When when, const std::string& method, const std::string&) {
    if (method == "Commit" && when == When::kAfter) backend_->Block();
    return absl::OkStatus();
  });
  EXPECT_THAT(Commit("name", "key"), StatusIs(Code::kDeadlineExceeded));
  // Whoever asks waits for the outcome instead of hearing half of it.
  const auto info = Stat("name");
  ASSERT_THAT(info, IsOk());
  EXPECT_EQ(info->kind, Kind::kCommitted);
  EXPECT_THAT(Stat("key"), StatusIs(Code::kNotFound));
  EXPECT_THAT(publisher_.Take(), ElementsAre("ns /snapshot/prepare", "ns /snapshot/commit"));
}

TEST_F(ProxySettlingTest, ARestartUndoesAHalfMadeSnapshot) {
  const Intent intent{
      .ns = "ns", .key = "lost", .backend_key = "ns/7/lost", .created_at = absl::Now()};
  ASSERT_THAT(metadata_->Write({},
                               [&](metadata::WriteTxn& txn) {
                                 return snapshots::PutIntent(txn, "proxied", intent);
                               }),
              IsOk());
  backend_->Put("ns/7/lost", {pb::ACTIVE, "", {}});
  Restart();
  EXPECT_TRUE(AllSettled());
  EXPECT_THAT(Backend(), IsEmpty());
  EXPECT_THAT(Stat("lost"), StatusIs(Code::kNotFound));
  EXPECT_THAT(Prepare("lost"), IsOk());
}

// A daemon that died between the backend's commit and the record, or before the backend's commit.
class HalfCommitTest : public ProxySettlingTest, public ::testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(BackendCommitted, HalfCommitTest, ::testing::Bool());

TEST_P(HalfCommitTest, ARestartCarriesTheCommitToItsEnd) {
  MakeLease("l");
  ASSERT_THAT(Layer("base"), IsOk());
  ASSERT_THAT(Prepare(Ctx("l"), "key", "base"), IsOk());
  const Intent intent{.action = Intent::Action::kCommit,
                      .ns = "ns",
                      .key = "key",
                      .name = "name",
                      .backend_key = "ns/3/key",
                      .backend_name = "ns/4/name",
                      .parent = "base",
                      .labels = {{"l", "1"}},
                      .lease = "l",
                      .created_at = absl::Now()};
  ASSERT_THAT(metadata_->Write({},
                               [&](metadata::WriteTxn& txn) {
                                 return snapshots::PutIntent(txn, "proxied", intent);
                               }),
              IsOk());
  if (GetParam()) {
    backend_->Lose("ns/3/key");
    backend_->Put("ns/4/name", {pb::COMMITTED, "ns/2/base", {}});
  }
  Restart();
  const auto info = Stat("name");
  ASSERT_THAT(info, IsOk());
  EXPECT_EQ(info->kind, Kind::kCommitted);
  EXPECT_EQ(info->parent, "base");
  EXPECT_EQ(info->labels, (Labels{{"l", "1"}}));
  EXPECT_THAT(Leased("l"), ElementsAre("name"));
  EXPECT_THAT(Stat("key"), StatusIs(Code::kNotFound));
  EXPECT_THAT(Prepare("child", "name"), IsOk());
  EXPECT_THAT(Keys(TableId::kSnapshotIntents), IsEmpty());
}

TEST_F(ProxySettlingTest, AStartDoesNotWaitForTheBackend) {
  ASSERT_THAT(Prepare("key"), IsOk());
  ASSERT_THAT(metadata_->Write({},
                               [&](metadata::WriteTxn& txn) {
                                 return snapshots::PutIntent(txn, "proxied",
                                                             {.action = Intent::Action::kCommit,
                                                              .ns = "ns",
                                                              .key = "key",
                                                              .name = "name",
                                                              .backend_key = "ns/1/key",
                                                              .backend_name = "ns/2/name"});
                               }),
              IsOk());
  backend_->Stop();
  const absl::Time start = absl::Now();
  Restart({.patience = absl::Milliseconds(200)});
  EXPECT_LT(absl::Now() - start, absl::Seconds(2));
  // The caller's patience has an end, and other keys are served as well as can be.
  EXPECT_THAT(Stat("name"), StatusIs(Code::kUnavailable));
  EXPECT_THAT(Stat("other"), StatusIs(Code::kNotFound));
  EXPECT_THAT(Prepare("new"), StatusIs(Code::kUnavailable));
  backend_->Start();
  ASSERT_TRUE(Eventually([&] { return Stat("name").ok(); }));
  ASSERT_TRUE(Eventually([&] { return Prepare("later").ok(); }));
}

TEST_F(ProxySettlingTest, AHungBackendHoldsNoThreadAndNobodyElse) {
  ASSERT_THAT(Prepare("a"), IsOk());
  ASSERT_THAT(Prepare("b"), IsOk());
  backend_->SetHook([this](When when, const std::string& method, const std::string&) {
    if (method == "Stat" && when == When::kBefore) backend_->Block();
    return absl::OkStatus();
  });
  std::atomic<int> answered = 0;
  Context impatient = Ctx();
  impatient.deadline = absl::Now() + absl::Milliseconds(300);
  for (int i = 0; i < 50; ++i) {
    proxy_->Stat(impatient, "a", [&](absl::StatusOr<Info> info) {
      EXPECT_THAT(info, StatusIs(Code::kDeadlineExceeded));
      ++answered;
    });
  }
  EXPECT_EQ(answered, 0);
  EXPECT_THAT(Remove("b"), IsOk());
  EXPECT_TRUE(Eventually([&] { return answered == 50; }));
}

TEST_F(ProxySettlingTest, ACancelledCallEndsAtOnce) {
  ASSERT_THAT(Prepare("a"), IsOk());
  backend_->SetHook([this](When when, const std::string& method, const std::string&) {
    if (method == "Stat" && when == When::kBefore) backend_->Block();
    return absl::OkStatus();
  });
  std::stop_source stop;
  Context ctx = Ctx();
  ctx.stop = stop.get_token();
  std::jthread canceller([&] {
    backend_->WaitForHanging(1);
    stop.request_stop();
  });
  EXPECT_THAT(Stat("a", ctx), StatusIs(Code::kCancelled));
}

TEST_F(ProxySettlingTest, MoreCallsThanItTakesAreRefused) {
  ASSERT_THAT(Prepare("a"), IsOk());
  Restart({.max_calls = 2});
  backend_->SetHook([this](When when, const std::string& method, const std::string&) {
    if (method == "Stat" && when == When::kBefore) backend_->Block();
    return absl::OkStatus();
  });
  std::atomic<int> answered = 0;
  for (int i = 0; i < 2; ++i) proxy_->Stat(Ctx(), "a", [&](absl::StatusOr<Info>) { ++answered; });
  EXPECT_THAT(Stat("a"), StatusIs(Code::kResourceExhausted));
  backend_->SetHook({});
  backend_->Unblock();
  EXPECT_TRUE(Eventually([&] { return answered == 2; }));
}

TEST_F(ProxySettlingTest, ClosingAnswersWhoeverStillWaits) {
  ASSERT_THAT(Prepare("a"), IsOk());
  ASSERT_THAT(Prepare("key"), IsOk());
  backend_->SetHook([this](When when, const std::string& method, const std::string&) {
    if (when == When::kBefore && (method == "Stat" || method == "Commit")) backend_->Block();
    return absl::OkStatus();
  });
  std::atomic<int> answered = 0;
  const auto count = [&](const auto&) { ++answered; };
  proxy_->Stat(Ctx(), "a", count);
  proxy_->Commit(Ctx(), {.name = "name", .key = "key"}, count);
  backend_->WaitForHanging(2);
  proxy_->Remove(Ctx(), "key", count);  // Waits for the commit.
  const absl::Time start = absl::Now();
  proxy_.reset();
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
  EXPECT_EQ(answered, 3);
  // What the commit has come to is found out by the next daemon.
  backend_->SetHook({});
  backend_->Unblock();
  Restart();
  EXPECT_THAT(Stat("name"), IsOk());
}

}  // namespace
}  // namespace gantry::proxy
