// SPDX-License-Identifier: Apache-2.0
// Shims that die, and shims that serve several containers.
#include <filesystem>
#include <fstream>
#include <future>

#include "core/runtime/testing/shim_fixture.h"
#include "core/sandbox/sandbox_store.h"

namespace gantry::runtime {
namespace {

namespace fs = std::filesystem;
using ::containerd::events::TaskDelete;
using ::containerd::events::TaskExit;
using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class LostShimTest : public testing::ShimFixture {
 protected:
  void MakeSandbox(const std::string& id) {
    ASSERT_THAT(sandboxes_.Create(ctx_, {.id = id}), IsOk());
  }

  sandbox::SandboxStore sandboxes_{*metadata_};
};

TEST_F(LostShimTest, IsNoticedCleanedUpAndAnnounced) {
  CreateAndStart("c1");
  auto waiting = Wait("c1");
  const absl::Time start = absl::Now();
  shim_.Die();
  const auto exit = NextEvent<TaskExit>("/tasks/exit");
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->container_id(), "c1");
  EXPECT_EQ(exit->id(), "c1");
  EXPECT_EQ(exit->pid(), testing::FakeShim::kInitPid);
  EXPECT_EQ(exit->exit_status(), 137U);
  EXPECT_EQ(exit->exited_at().seconds(), 1'700'000'000);
  const auto deleted = NextEvent<TaskDelete>("/tasks/delete");
  ASSERT_TRUE(deleted.has_value());
  EXPECT_EQ(deleted->exit_status(), 137U);
  EXPECT_EQ(deleted->id(), "");
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
  EXPECT_EQ(waiting.get()->status, 137U);
  EXPECT_TRUE(NoBundles());
  EXPECT_THAT(Get("c1"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(shim_.Runs("delete"), 1);
}

TEST_F(LostShimTest, AnExitDoesNotWaitForTheBundleToGo) {
  CreateAndStart("c1");
  const fs::path go = dir_.path() / "go";
  shim_.SetDelete(137, "while [ ! -e " + go.string() + " ]; do sleep 0.01; done");
  shim_.Die();
  ASSERT_TRUE(Eventually([&] { return shim_.Runs("delete") == 1; }));
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  constexpr int kMoreThanThreads = 64;
  for (int i = 0; i < kMoreThanThreads; ++i) shims_->steps().Run([released] { released.wait(); });
  std::ofstream(go) << "now";
  EXPECT_TRUE(NextEvent<TaskExit>("/tasks/exit").has_value());
  EXPECT_TRUE(fs::exists(BundlePath("c1")));
  release.set_value();
  EXPECT_TRUE(NextEvent<TaskDelete>("/tasks/delete").has_value());
  EXPECT_TRUE(NoBundles());
}

TEST_F(LostShimTest, AnExitThatWasAnnouncedIsNotAnnouncedAgain) {
  CreateAndStart("c1");
  TaskExit event;
  event.set_container_id("c1");
  event.set_id("c1");
  event.set_exit_status(3);
  event.mutable_exited_at()->set_seconds(1'600'000'000);
  ASSERT_THAT(Forward("/tasks/exit", event), IsOk());
  ASSERT_TRUE(NextEvent<TaskExit>("/tasks/exit").has_value());
  shim_.Die();
  // The next event is that of the deletion, with the status that is known.
  const auto deleted = NextEvent<TaskDelete>("/tasks/delete");
  ASSERT_TRUE(deleted.has_value());
  EXPECT_EQ(deleted->exit_status(), 3U);
  EXPECT_EQ(deleted->exited_at().seconds(), 1'600'000'000);
}

TEST_F(LostShimTest, WithoutAnAnswerOfItsProgramTheStatusIsUnknown) {
  CreateAndStart("c1");
  shim_.SetDelete(0, "echo broken >&2; exit 1");
  shim_.Die();
  const auto exit = NextEvent<TaskExit>("/tasks/exit");
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->exit_status(), 255U);
  EXPECT_EQ(exit->pid(), 0U);
  EXPECT_TRUE(Eventually([&] { return NoBundles(); }));
}

TEST_F(LostShimTest, CallsUnderWayEndAsClosed) {
  CreateAndStart("c1");
  shim_.Freeze("Kill");
  shim_.SetDelete(137, "sleep 0.2");
  auto killing = Async<Nothing>(
      [&](Done<Nothing> done) { tasks_->Kill(ctx_, "c1", {.signal = 9}, std::move(done)); });
  ASSERT_TRUE(Eventually([&] { return shim_.CountCalls("Kill") == 1; }));
  shim_.Die();
  EXPECT_THAT(killing.get(), StatusIs(absl::StatusCode::kUnknown, EndsWith("ttrpc: closed")));
}

TEST_F(LostShimTest, ADeleteUnderWayEndsWithTheExit) {
  CreateAndStart("c1");
  shim_.Freeze("Delete");
  auto deleting =
      Async<Exit>([&](Done<Exit> done) { tasks_->Delete(ctx_, "c1", std::move(done)); });
  ASSERT_TRUE(Eventually([&] { return shim_.CountCalls("Delete") == 1; }));
  shim_.Die();
  const auto exit = deleting.get();
  ASSERT_THAT(exit, IsOk());
  EXPECT_EQ(exit->status, 137U);
  EXPECT_TRUE(NoBundles());
}

TEST_F(LostShimTest, AnIdIsFreeAgainAfterwards) {
  CreateAndStart("c1");
  shim_.Die();
  ASSERT_TRUE(NextEvent<TaskDelete>("/tasks/delete").has_value());
  shim_.Listen();
  EXPECT_TRUE(Eventually([&] { return Create("c1", Options()).ok(); }));
}

TEST_F(LostShimTest, AnExitThatIsNeverAnnouncedIsAnnouncedByUs) {
  StopManager();
  timeouts_.announce_exit = absl::Milliseconds(50);
  StartManager();
  CreateAndStart("c1");
  shim_.set_exit_time(absl::Now());
  shim_.Exit("c1", 5);
  const auto exit = NextEvent<TaskExit>("/tasks/exit");
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->exit_status(), 5U);
  EXPECT_EQ(exit->pid(), testing::FakeShim::kInitPid);
  // The shim's own announcement comes late, and is not passed on.
  ASSERT_THAT(Forward("/tasks/exit", *exit), IsOk());
  EXPECT_EQ(NextEvent<TaskExit>("/tasks/exit", absl::Milliseconds(20)), std::nullopt);
}

TEST_F(LostShimTest, ContainersOfASandboxShareItsShim) {
  MakeSandbox("pod");
  CreateAndStart("pod");
  CreateOptions options = Options();
  options.sandbox_id = "pod";
  ASSERT_THAT(Create("c1", options), IsOk());
  ASSERT_THAT(Create("c2", options), IsOk());
  EXPECT_EQ(shim_.Runs("start"), 1);
  EXPECT_TRUE(fs::exists(BundlePath("c1") / "sandbox"));
  EXPECT_TRUE(fs::exists(BundlePath("c1") / "bootstrap.json"));
  // Only the last to go ends the shim.
  ASSERT_THAT(Delete("pod"), IsOk());
  ASSERT_THAT(Delete("c1"), IsOk());
  EXPECT_EQ(shim_.CountCalls("Shutdown"), 0U);
  EXPECT_THAT(Start("c2"), IsOk());
  ASSERT_THAT(Delete("c2"), IsOk());
  EXPECT_EQ(shim_.CountCalls("Shutdown"), 1U);
  EXPECT_TRUE(NoBundles());
}

TEST_F(LostShimTest, EveryContainerOfALostSandboxIsAnnounced) {
  MakeSandbox("pod");
  CreateAndStart("pod");
  CreateOptions options = Options();
  options.sandbox_id = "pod";
  ASSERT_THAT(Create("c1", options), IsOk());
  ASSERT_THAT(Create("c2", options), IsOk());
  shim_.Die();
  std::set<std::string> gone;
  for (int i = 0; i < 3; ++i) {
    const auto exit = NextEvent<TaskExit>("/tasks/exit");
    ASSERT_TRUE(exit.has_value());
    gone.insert(exit->container_id());
  }
  EXPECT_EQ(gone, (std::set<std::string>{"pod", "c1", "c2"}));
  EXPECT_TRUE(Eventually([&] { return NoBundles(); }));
}

TEST_F(LostShimTest, ASandboxWithoutRecordGetsAShimOfItsOwn) {
  CreateOptions options = Options();
  options.sandbox_id = "unknown";
  EXPECT_THAT(Create("c1", options), IsOk());
  EXPECT_EQ(shim_.Runs("start"), 1);
}

TEST_F(LostShimTest, TheBundleOfASandboxWithoutTaskTellsOfItsShim) {
  MakeSandbox("pod");
  const auto bundle = Bundle::Create(roots_, ctx_.ns, "pod", std::nullopt);
  ASSERT_THAT(bundle, IsOk());
  ASSERT_THAT(bundle->WriteEndpoint({.version = 3, .address = shim_.address()}), IsOk());
  CreateOptions options = Options();
  options.sandbox_id = "pod";
  EXPECT_THAT(Create("c1", options), IsOk());
  EXPECT_EQ(shim_.Runs("start"), 0);
  EXPECT_THAT(Start("c1"), IsOk());
}

TEST_F(LostShimTest, ASandboxThatIsBeingRemovedTakesNoContainer) {
  MakeSandbox("pod");
  CreateAndStart("pod");
  shim_.Freeze("Shutdown");
  auto deleting =
      Async<Exit>([&](Done<Exit> done) { tasks_->Delete(ctx_, "pod", std::move(done)); });
  ASSERT_TRUE(Eventually([&] { return shim_.CountCalls("Shutdown") == 1; }));
  CreateOptions options = Options();
  options.sandbox_id = "pod";
  EXPECT_THAT(Create("c1", options),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("sandbox pod")));
  EXPECT_EQ(shim_.CountCalls("Create"), 1U);
  shim_.Thaw("Shutdown");
  EXPECT_THAT(deleting.get(), IsOk());
}

// Whoever takes a shim for its last member must not have got another one meanwhile.
TEST_F(LostShimTest, ARetiredShimHasNoOtherMember) {
  const auto bundle = Bundle::Create(roots_, ctx_.ns, "b", std::nullopt);
  ASSERT_THAT(bundle, IsOk());
  const StartAnswer answer{.endpoint = {.version = 3, .address = shim_.address()},
                           .mounts = std::nullopt};
  const auto connect = [&] {
    absl::StatusOr<std::shared_ptr<Shim>> shim;
    do {  // the fake's backlog is short
      shim = shims_->Connect(*bundle, shim_.program(), answer, /*record=*/false, nullptr);
    } while (absl::IsResourceExhausted(shim.status()));
    return shim;
  };
  for (int i = 0; i < 200; ++i) {
    auto first = connect();
    ASSERT_THAT(first, IsOk());
    auto second = std::async(std::launch::async, connect);
    const bool retired = shims_->Retire(*first);
    auto other = second.get();
    ASSERT_THAT(other, IsOk());
    const bool together = &(*other)->connection() == &(*first)->connection();
    EXPECT_FALSE(retired && together);
    shims_->Release(*first);
    shims_->Release(*other);
  }
}

TEST_F(LostShimTest, ASandboxWithoutShimIsAnError) {
  MakeSandbox("pod");
  CreateOptions options = Options();
  options.sandbox_id = "pod";
  EXPECT_THAT(Create("c1", options),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("sandbox pod")));
  EXPECT_THAT(List(), IsEmpty());
  // Unless the client knows where it is.
  options.task_api_address = "ttrpc+" + shim_.address();
  options.task_api_version = 3;
  EXPECT_THAT(Create("c1", options), IsOk());
  EXPECT_EQ(shim_.Runs("start"), 0);
  // Shims of version 2 are told of each container through their program.
  options.task_api_version = 2;
  EXPECT_THAT(Create("c2", options), IsOk());
  EXPECT_EQ(shim_.Runs("start"), 1);
}

}  // namespace
}  // namespace gantry::runtime
