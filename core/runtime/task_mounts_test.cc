// SPDX-License-Identifier: Apache-2.0
// Root file systems that the mount manager prepares. "mkdir/" needs no privileges to be seen at
// work.
#include <filesystem>

#include "core/mount/manager/activation_table.h"
#include "core/mount/manager/mount_manager.h"
#include "core/runtime/testing/fake_shim.h"
#include "core/runtime/testing/task_fixture.h"
#include "proto/runtime/bootstrap/v1/bootstrap.pb.h"
#include "proto/types/mount.pb.h"

namespace gantry::runtime {
namespace {

namespace fs = std::filesystem;
namespace pb = ::containerd::task::v3;
using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::ElementsAre;
using Code = absl::StatusCode;

class TaskMountsTest : public testing::TaskFixture {
 protected:
  void SetUp() override {
    auto manager = mount::MountManager::Open(
        table_, {.targets = dir_.path() / "mounts", .boot_file = {}, .roots = {}, .handlers = {}});
    ASSERT_THAT(manager, IsOk());
    mounts_ = *std::move(manager);
    RestartManager();
  }

  fs::path Made() const { return dir_.path() / "mounts" / "made"; }

  CreateOptions Options() {
    CreateOptions options;
    options.spec.emplace();
    options.spec->set_value("{}");
    options.runtime = shim_.program().string();
    options.rootfs = {{.type = "mkdir/bind",
                       .source = Made().string(),
                       .options = {"rbind", "X-containerd.mkdir.path=" + Made().string()}}};
    return options;
  }
  // The one mount that the shim was given last.
  ::containerd::types::Mount GivenMount() const {
    pb::CreateTaskRequest request;
    EXPECT_TRUE(request.ParseFromString(shim_.LastPayload("Create")));
    EXPECT_EQ(request.rootfs_size(), 1);
    return request.rootfs_size() == 1 ? request.rootfs(0) : ::containerd::types::Mount();
  }
  absl::StatusOr<mount::ActivationInfo> Info() { return mounts_->Info(ctx_, "c1"); }

  mount::ActivationTable table_{*metadata_};
  testing::FakeShim shim_{dir_.path() / "shim"};
};

TEST_F(TaskMountsTest, WhatTheShimCannotMountIsPreparedAndGoesWithTheTask) {
  ASSERT_THAT(Create("c1", Options()), IsOk());
  EXPECT_EQ(GivenMount().type(), "bind");
  EXPECT_THAT(GivenMount().options(), ElementsAre("rbind"));
  EXPECT_TRUE(fs::is_directory(Made()));
  const auto info = Info();
  ASSERT_THAT(info, IsOk());
  EXPECT_THAT(info->labels, ElementsAre(::testing::Pair("containerd.io/gc.bref.container", "c1")));

  ASSERT_THAT(Start("c1"), IsOk());
  shim_.Exit("c1", 0);
  ASSERT_THAT(Delete("c1"), IsOk());
  EXPECT_THAT(Info(), StatusIs(Code::kNotFound));
}

TEST_F(TaskMountsTest, AMountThatTheShimCanDoIsLeftToIt) {
  CreateOptions options = Options();
  options.rootfs = {{.type = "bind", .source = "/x", .options = {"rbind"}}};
  ASSERT_THAT(Create("c1", options), IsOk());
  EXPECT_EQ(GivenMount().source(), "/x");
  EXPECT_THAT(Info(), StatusIs(Code::kNotFound));
}

TEST_F(TaskMountsTest, AShimThatTransformsMountsItselfGetsThemAsTheyAre) {
  ::containerd::types::MountCapabilities claims;
  claims.add_transforms("mkdir");
  ::containerd::runtime::bootstrap::v1::BootstrapResult result;
  result.set_version(3);
  result.set_address(shim_.address());
  result.set_protocol("ttrpc");
  auto* extension = result.add_extensions()->mutable_value();
  extension->set_type_url("containerd.types.MountCapabilities");
  extension->set_value(claims.SerializeAsString());
  std::ofstream(dir_.path() / "answer") << result.SerializeAsString();
  shim_.WriteProgram("cat " + (dir_.path() / "answer").string());
  ASSERT_THAT(Create("c1", Options()), IsOk());
  EXPECT_EQ(GivenMount().type(), "mkdir/bind");
  EXPECT_FALSE(fs::exists(Made()));
}

TEST_F(TaskMountsTest, AFailedCreateLeavesNoMounts) {
  shim_.Fail("Create", Internal("no"));
  EXPECT_THAT(Create("c1", Options()), StatusIs(Code::kInternal));
  EXPECT_THAT(Info(), StatusIs(Code::kNotFound));
}

TEST_F(TaskMountsTest, MountsThatCannotBeMadeUndoTheCreate) {
  CreateOptions options = Options();
  options.rootfs[0].options = {"X-containerd.mkdir.path=/outside"};
  EXPECT_THAT(Create("c1", options), StatusIs(Code::kUnimplemented));
  EXPECT_TRUE(NoBundles());
  EXPECT_EQ(shim_.CountCalls("Create"), 0U);
  EXPECT_EQ(shim_.CountCalls("Shutdown"), 1U);
  EXPECT_THAT(Info(), StatusIs(Code::kNotFound));
}

TEST_F(TaskMountsTest, ALostShimsMountsAreUndone) {
  ASSERT_THAT(Create("c1", Options()), IsOk());
  ASSERT_THAT(Start("c1"), IsOk());
  shim_.Die();
  EXPECT_TRUE(Eventually([this] { return absl::IsNotFound(Info().status()); }));
}

TEST_F(TaskMountsTest, TheTaskMayEndUnderAnotherDaemon) {
  ASSERT_THAT(Create("c1", Options()), IsOk());
  ASSERT_THAT(Start("c1"), IsOk());
  RestartManager();
  EXPECT_THAT(Info(), IsOk());
  shim_.Exit("c1", 0);
  ASSERT_THAT(Delete("c1"), IsOk());
  EXPECT_THAT(Info(), StatusIs(Code::kNotFound));
}

TEST_F(TaskMountsTest, MountsOfAnInterruptedCreateAreUndoneAtTheNextStart) {
  ASSERT_THAT(Create("c1", Options()), IsOk());
  StopManager();
  // As if the daemon had ended before it had chosen a shim for good.
  fs::remove_all(BundlePath("c1"));
  fs::remove_all(roots_.root / ctx_.ns / "c1");
  ASSERT_THAT(Bundle::Create(roots_, ctx_.ns, "c1", "{}"), IsOk());
  StartManager();
  EXPECT_TRUE(Eventually([this] { return absl::IsNotFound(Info().status()); }));
}

TEST_F(TaskMountsTest, ActivationsOfAClientStayAlthoughTheyHaveTheTasksName) {
  CreateOptions options = Options();
  ASSERT_THAT(mounts_->Activate(ctx_, "c1", options.rootfs, {}), IsOk());
  options.rootfs = {{.type = "bind", .source = "/x", .options = {"rbind"}}};
  ASSERT_THAT(Create("c1", options), IsOk());
  ASSERT_THAT(Start("c1"), IsOk());
  shim_.Exit("c1", 0);
  ASSERT_THAT(Delete("c1"), IsOk());
  EXPECT_THAT(Info(), IsOk());
}

TEST_F(TaskMountsTest, OnlyMountsOfAnEarlierTaskAreUsedAgain) {
  CreateOptions options = Options();
  const mount::ActivateOptions held{.labels = {{"containerd.io/gc.bref.container", "c2"}}};
  ASSERT_THAT(mounts_->Activate(ctx_, "c1", options.rootfs, {}), IsOk());
  ASSERT_THAT(mounts_->Activate(ctx_, "c2", options.rootfs, held), IsOk());
  EXPECT_THAT(Create("c1", options), StatusIs(Code::kAlreadyExists));
  EXPECT_THAT(Info(), IsOk());
  EXPECT_THAT(Create("c2", options), IsOk());
}

}  // namespace
}  // namespace gantry::runtime
