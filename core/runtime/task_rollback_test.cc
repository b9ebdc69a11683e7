// SPDX-License-Identifier: Apache-2.0
// Creates that fail, and shims that do not help to undo them.
#include <filesystem>
#include <fstream>

#include "core/runtime/testing/shim_fixture.h"

namespace gantry::runtime {
namespace {

namespace fs = std::filesystem;
using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class RollBackTest : public testing::ShimFixture {
 protected:
  void Restart(absl::Duration cleanup) {
    timeouts_.cleanup = cleanup;
    RestartManager();
  }
};

TEST_F(RollBackTest, TheShimsProgramHelpsAShimThatCannotDelete) {
  shim_.Fail("Create", Unknown("OCI runtime create failed"));
  shim_.On("Delete", [this](const std::string&) -> testing::FakeShim::Answer {
    if (shim_.Runs("delete") == 0) return Unknown("container is busy");
    return std::string();
  });
  EXPECT_THAT(Create("c1", Options()),
              StatusIs(absl::StatusCode::kUnknown, HasSubstr("OCI runtime create failed")));
  EXPECT_THAT(shim_.Calls(), ElementsAre("Create", "Delete", "Delete", "Shutdown"));
  EXPECT_EQ(shim_.Runs("delete"), 1);
  EXPECT_TRUE(NoBundles());
}

TEST_F(RollBackTest, AShimThatDeletesNothingIsTriedAgainUntilItDoes) {
  shim_.Fail("Create", Unknown("OCI runtime create failed"));
  shim_.Fail("Delete", Unknown("container is busy"));
  EXPECT_THAT(Create("c1", Options()), StatusIs(absl::StatusCode::kUnknown));
  // It was asked to end all the same; the id is not free while it may live.
  EXPECT_EQ(shim_.CountCalls("Shutdown"), 1U);
  EXPECT_TRUE(fs::exists(BundlePath("c1") / "bootstrap.json"));
  EXPECT_THAT(Create("c1", Options()), StatusIs(absl::StatusCode::kAlreadyExists));
  shim_.Fail("Delete", NotFound("container not created"));
  EXPECT_TRUE(Eventually([&] { return NoBundles(); }));
  EXPECT_GE(shim_.CountCalls("Shutdown"), 2U);
}

TEST_F(RollBackTest, AFrozenShimIsNotForgotten) {
  Restart(absl::Milliseconds(50));
  shim_.Fail("Create", Unknown("OCI runtime create failed"));
  shim_.Freeze("Delete");
  EXPECT_THAT(Create("c1", Options()), StatusIs(absl::StatusCode::kUnknown));
  // A new daemon finds it too.
  Restart(absl::Seconds(5));
  EXPECT_TRUE(fs::exists(BundlePath("c1")));
  const size_t before = shim_.CountCalls("Shutdown");
  shim_.Thaw("Delete");
  EXPECT_TRUE(Eventually([&] { return NoBundles(); }));
  EXPECT_GT(shim_.CountCalls("Shutdown"), before);
}

TEST_F(RollBackTest, AShimThatDoesNotShutDownIsToldAgain) {
  shim_.Fail("Create", Unknown("OCI runtime create failed"));
  shim_.Fail("Shutdown", Unknown("not now"));
  EXPECT_THAT(Create("c1", Options()), StatusIs(absl::StatusCode::kUnknown));
  EXPECT_TRUE(fs::exists(BundlePath("c1")));
  shim_.On("Shutdown", [](const std::string&) { return std::string(); });
  EXPECT_TRUE(Eventually([&] { return NoBundles(); }));
}

TEST_F(RollBackTest, AShimThatDiesInsteadIsCleanedUpAfter) {
  shim_.Fail("Create", Unknown("OCI runtime create failed"));
  shim_.Fail("Delete", Unknown("container is busy"));
  EXPECT_THAT(Create("c1", Options()), StatusIs(absl::StatusCode::kUnknown));
  shim_.Die();
  EXPECT_TRUE(Eventually([&] { return NoBundles(); }));
  EXPECT_GE(shim_.Runs("delete"), 2);
}

TEST_F(RollBackTest, AShimWhoseAddressCannotBeNotedIsEnded) {
  shim_.WriteProgram(R"(mkdir -p bootstrap.json/full; printf '{"version":3,"address":"%s"}' )" +
                     shim_.address());
  EXPECT_THAT(Create("c1", Options()), Not(IsOk()));
  EXPECT_EQ(shim_.CountCalls("Shutdown"), 1U);
  EXPECT_TRUE(NoBundles());
}

TEST_F(RollBackTest, AShimsLogIsReadFromBeforeItStarts) {
  shim_.WriteProgram(R"(rm log; mkdir log; printf '{"version":3,"address":"%s"}' )" +
                     shim_.address());
  EXPECT_THAT(Create("c1", Options()), IsOk());
}

TEST_F(RollBackTest, AShimThatCannotBeReachedForNowIsEndedOnceItCan) {
  const fs::path link = dir_.path() / "l.sock";
  fs::create_symlink(link, link);  // leads nowhere, but nothing says that nobody listens
  shim_.WriteProgram(R"(printf '{"version":3,"address":"%s"}' unix://)" + link.string());
  shim_.Fail("Delete", NotFound("container not created"));
  EXPECT_THAT(Create("c1", Options()), Not(IsOk()));
  EXPECT_TRUE(fs::exists(BundlePath("c1")));
  EXPECT_EQ(shim_.CountCalls("Shutdown"), 0U);
  fs::remove(link);
  fs::create_symlink(shim_.socket(), link);
  EXPECT_TRUE(Eventually([&] { return NoBundles(); }));
  EXPECT_EQ(shim_.CountCalls("Shutdown"), 1U);
  EXPECT_TRUE(Eventually([&] { return Create("c1", Options()).ok(); }));
}

TEST_F(RollBackTest, AShimThatAStuckStartLeftIsEnded) {
  timeouts_.start_shim = absl::Milliseconds(300);
  RestartManager();
  const std::string stuck = (dir_.path() / "stuck").string();
  shim_.WriteProgram("if [ ! -e " + stuck + " ]; then touch " + stuck + "; sleep 60; fi; " +
                     R"(printf '{"version":3,"address":"%s"}' )" + shim_.address());
  shim_.Fail("Delete", NotFound("container not created"));
  EXPECT_THAT(Create("c1", Options()), StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_TRUE(Eventually([&] { return NoBundles(); }));
  EXPECT_EQ(shim_.CountCalls("Shutdown"), 1U);
}

TEST_F(RollBackTest, AShimOfTheOlderServiceIsAskedInItsWords) {
  testing::FakeShim old(dir_.path() / "old", 2);
  old.WriteProgram(R"(printf '{"version":3,"address":"%s","protocol":"ttrpc"}' )" + old.address());
  std::ofstream(old.program(), std::ios::app) << "\nif [ \"$action\" = -info ]; then exit 1; fi\n";
  old.Fail("Delete", NotFound("container not created"));
  CreateOptions options = Options();
  options.spec->set_value(R"({"mounts": [{"options": ["rbind", "idmap"]}]})");
  options.runtime = old.program().string();
  EXPECT_THAT(Create("c1", options),
              StatusIs(absl::StatusCode::kUnknown, HasSubstr("runtime info")));
  EXPECT_THAT(old.Calls(), ElementsAre("Delete", "Shutdown"));
  EXPECT_EQ(old.Runs("delete"), 0);
  EXPECT_TRUE(NoBundles());
}

TEST_F(RollBackTest, AnAnswerThatIsNotUnderstoodMayComeFromALiveShim) {
  shim_.WriteProgram(R"(printf '{"version":9,"address":"%s"}' )" + shim_.address());
  EXPECT_THAT(Create("c1", Options()), StatusIs(absl::StatusCode::kUnimplemented));
  EXPECT_EQ(shim_.Runs("delete"), 1);
  EXPECT_TRUE(NoBundles());
}

TEST_F(RollBackTest, ABundleThatCouldNotBeRemovedIsNoTask) {
  ASSERT_THAT(Create("c1", Options()), IsOk());
  const fs::path data = BundlePath("c1") / "rootfs" / "data";
  std::ofstream(data) << "precious";
  ASSERT_THAT(Delete("c1"), IsOk());
  EXPECT_TRUE(fs::exists(data));
  EXPECT_THAT(Create("c1", Options()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("earlier task c1")));
  // Nor does a new daemon take it for one; it only tries again to remove it.
  RestartManager();
  EXPECT_TRUE(Eventually([&] { return List().empty(); }));
  EXPECT_EQ(NextEvent<::containerd::events::TaskExit>("/tasks/exit", absl::Milliseconds(200)),
            std::nullopt);
  EXPECT_EQ(shim_.Runs("delete"), 0);
  EXPECT_TRUE(fs::exists(data));
  fs::remove(data);
  RestartManager();
  EXPECT_TRUE(Eventually([&] { return NoBundles(); }));
  EXPECT_EQ(shim_.Runs("delete"), 0);
}

TEST_F(RollBackTest, WhatAnEarlierTaskLeftMakesRoomForANewOne) {
  ASSERT_THAT(Create("c1", Options()), IsOk());
  const fs::path data = BundlePath("c1") / "rootfs" / "data";
  std::ofstream(data) << "x";
  ASSERT_THAT(Delete("c1"), IsOk());
  ASSERT_TRUE(fs::exists(data));
  fs::remove(data);
  EXPECT_THAT(Create("c1", Options()), IsOk());
  EXPECT_FALSE(fs::exists(BundlePath("c1") / "removing"));
}

}  // namespace
}  // namespace gantry::runtime
