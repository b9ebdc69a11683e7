// SPDX-License-Identifier: Apache-2.0
#include "services/tasks/frontend.h"

#include <filesystem>
#include <fstream>
#include <stop_token>

#include "core/content/local_backend.h"
#include "core/runtime/testing/fake_shim.h"
#include "core/runtime/testing/task_fixture.h"

namespace gantry::tasks {
namespace {

namespace fs = std::filesystem;
namespace pb = ::containerd::services::tasks::v1;
using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;

class FrontendTest : public runtime::testing::TaskFixture {
 protected:
  void SetUp() override {
    containers::Container container{.id = "c1", .runtime_name = "io.containerd.fake.v1"};
    container.spec.emplace().set_type_url("spec");
    ASSERT_THAT(containers_.Create(ctx_, container), IsOk());
    ASSERT_THAT(Create("c1", {.runtime = shim_.program().string()}), IsOk());
  }

  // The directory that the shim was told last to write a checkpoint to.
  fs::path Dump() const {
    ::containerd::task::v3::CheckpointTaskRequest request;
    EXPECT_TRUE(request.ParseFromString(shim_.LastPayload("Checkpoint")));
    return request.path();
  }

  runtime::testing::FakeShim shim_{dir_.path() / "shim"};
  containers::ContainerStore containers_{*metadata_, exchange_};
  std::unique_ptr<content::LocalBackend> backend_ =
      *content::LocalBackend::Open(dir_.path() / "content", clock_);
  content::ContentStore content_{*metadata_, *backend_, exchange_};
  base::WorkerPool workers_{"test", 2, 16};
  Frontend frontend_{*tasks_, containers_, content_, workers_, dir_.path()};
};

TEST_F(FrontendTest, ADumpStaysForAsLongAsItIsWritten) {
  shim_.Freeze("Checkpoint");
  std::stop_source caller;
  Context ctx = ctx_;
  ctx.stop = caller.get_token();
  pb::CheckpointTaskRequest request;
  request.set_container_id("c1");
  auto taken = Async<pb::CheckpointTaskResponse>(
      [&](auto done) { frontend_.Checkpoint(ctx, request, std::move(done)); });
  ASSERT_TRUE(Eventually([&] { return shim_.CountCalls("Checkpoint") == 1; }));
  caller.request_stop();
  EXPECT_THAT(taken.get(), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_TRUE(std::ofstream(Dump() / "pages-1.img") << "memory");
  shim_.Thaw("Checkpoint");
  EXPECT_TRUE(Eventually([&] { return !fs::exists(Dump()); }));
}

TEST_F(FrontendTest, ADumpBecomesContentAndIsRemoved) {
  shim_.On("Checkpoint", [this](const std::string&) -> runtime::testing::FakeShim::Answer {
    std::ofstream(Dump() / "pages-1.img") << "memory";
    return std::string();
  });
  pb::CheckpointTaskRequest request;
  request.set_container_id("c1");
  const auto taken = Sync<pb::CheckpointTaskResponse>(
      [&](auto done) { frontend_.Checkpoint(ctx_, request, std::move(done)); });
  ASSERT_THAT(taken, IsOk());
  EXPECT_EQ(taken->descriptors_size(), 2);
  EXPECT_TRUE(Eventually([&] { return !fs::exists(Dump()); }));
}

}  // namespace
}  // namespace gantry::tasks
