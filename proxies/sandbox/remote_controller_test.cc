// SPDX-License-Identifier: Apache-2.0
#include "proxies/sandbox/remote_controller.h"

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <atomic>
#include <future>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gantry::proxies {
namespace {

namespace pb = ::containerd::services::sandbox::v1;
using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using sandbox::Sandbox;

// Keeps what it was asked.
class FakeController final : public pb::Controller::Service {
 public:
  grpc::Status Create(grpc::ServerContext* call, const pb::ControllerCreateRequest* request,
                      pb::ControllerCreateResponse*) override {
    const auto found = call->client_metadata().find("containerd-namespace");
    if (found != call->client_metadata().end()) {
      ns = std::string(found->second.data(), found->second.size());
    }
    created = *request;
    return answer;
  }
  grpc::Status Start(grpc::ServerContext*, const pb::ControllerStartRequest* request,
                     pb::ControllerStartResponse* response) override {
    response->set_sandbox_id(request->sandbox_id());
    response->set_pid(7);
    response->mutable_created_at()->set_seconds(9);
    (*response->mutable_labels())["a"] = "b";
    response->set_address("ttrpc+unix:///run/s");
    response->set_version(3);
    return answer;
  }
  grpc::Status Stop(grpc::ServerContext*, const pb::ControllerStopRequest* request,
                    pb::ControllerStopResponse*) override {
    stopped = *request;
    return answer;
  }
  grpc::Status Wait(grpc::ServerContext* call, const pb::ControllerWaitRequest*,
                    pb::ControllerWaitResponse* response) override {
    ++waits;
    while (!ended && !call->IsCancelled()) absl::SleepFor(absl::Milliseconds(1));
    response->set_exit_status(137);
    response->mutable_exited_at()->set_seconds(11);
    return answer;
  }
  grpc::Status Update(grpc::ServerContext*, const pb::ControllerUpdateRequest* request,
                      pb::ControllerUpdateResponse*) override {
    updated = *request;
    return answer;
  }

  std::string ns;
  pb::ControllerCreateRequest created;
  pb::ControllerStopRequest stopped;
  pb::ControllerUpdateRequest updated;
  grpc::Status answer;
  std::atomic<int> waits = 0;
  std::atomic<bool> ended = false;
};

class RemoteControllerTest : public ::testing::Test {
 protected:
  RemoteControllerTest() { StartServer(); }
  ~RemoteControllerTest() override {
    fake_.ended = true;
    controller_.reset();
    StopServer();
  }

  void StartServer() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + socket_, grpc::InsecureServerCredentials());
    builder.RegisterService(&fake_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }
  void StopServer() {
    if (server_ == nullptr) return;
    server_->Shutdown(std::chrono::system_clock::now());
    server_.reset();
  }

  template <typename T, typename Call>
  std::future<absl::StatusOr<T>> Async(Call call) {
    auto result = std::make_shared<std::promise<absl::StatusOr<T>>>();
    call([result](absl::StatusOr<T> value) { result->set_value(std::move(value)); });
    return result->get_future();
  }
  template <typename Call>
  absl::Status Sync(Call call) {
    std::promise<absl::Status> result;
    call([&result](const absl::Status& status) { result.set_value(status); });
    return result.get_future().get();
  }
  static bool Eventually(const std::function<bool()>& holds) {
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    while (!holds() && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(5));
    return holds();
  }

  testing::TempDir dir_;
  const std::string socket_ = (dir_.path() / "s").string();
  FakeController fake_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<RemoteController> controller_ =
      std::make_unique<RemoteController>("remote", socket_);
  const Context ctx_{.ns = "ns"};
};

TEST_F(RemoteControllerTest, HandsOnAllThatItIsAsked) {
  Sandbox sandbox{.id = "s", .runtime_name = "r", .labels = {{"k", "v"}}, .sandboxer = "remote"};
  EXPECT_THAT(Sync([&](auto done) {
                controller_->Create(ctx_, sandbox,
                                    {.rootfs = {{.type = "bind", .options = {"ro"}}},
                                     .netns_path = "/run/netns/x",
                                     .annotations = {{"a", "b"}}},
                                    std::move(done));
              }),
              IsOk());
  EXPECT_EQ(fake_.ns, "ns");
  EXPECT_EQ(fake_.created.sandbox_id(), "s");
  EXPECT_EQ(fake_.created.sandboxer(), "remote");
  EXPECT_EQ(fake_.created.sandbox().runtime().name(), "r");
  EXPECT_EQ(fake_.created.rootfs(0).options(0), "ro");
  EXPECT_EQ(fake_.created.netns_path(), "/run/netns/x");
  EXPECT_EQ(fake_.created.annotations().at("a"), "b");

  const auto started = Async<sandbox::Started>([&](auto done) {
                         controller_->Start(ctx_, "s", std::move(done));
                       }).get();
  ASSERT_THAT(started, IsOk());
  EXPECT_EQ(started->pid, 7U);
  EXPECT_EQ(started->created_at, absl::FromUnixSeconds(9));
  EXPECT_EQ(started->labels.at("a"), "b");
  EXPECT_EQ(started->address, "ttrpc+unix:///run/s");
  EXPECT_EQ(started->version, 3U);

  EXPECT_THAT(
      Sync([&](auto done) { controller_->Stop(ctx_, "s", absl::Seconds(4), std::move(done)); }),
      IsOk());
  EXPECT_EQ(fake_.stopped.timeout_secs(), 4U);
  EXPECT_THAT(
      Sync([&](auto done) { controller_->Update(ctx_, sandbox, {"labels"}, std::move(done)); }),
      IsOk());
  EXPECT_EQ(fake_.updated.sandboxer(), "remote");
  EXPECT_EQ(fake_.updated.fields(0), "labels");
}

TEST_F(RemoteControllerTest, APlatformThatIsNotServedIsTheHosts) {
  const auto platform = Async<sandbox::Platform>([&](auto done) {
                          controller_->GetPlatform(ctx_, "s", std::move(done));
                        }).get();
  ASSERT_THAT(platform, IsOk());
  EXPECT_EQ(platform->os, "linux");
  EXPECT_FALSE(platform->architecture.empty());
}

TEST_F(RemoteControllerTest, FailuresKeepTheirCodes) {
  fake_.answer = {grpc::StatusCode::FAILED_PRECONDITION, "not now"};
  EXPECT_THAT(
      Sync([&](auto done) { controller_->Create(ctx_, Sandbox{.id = "s"}, {}, std::move(done)); }),
      StatusIs(absl::StatusCode::kFailedPrecondition));
  StopServer();
  EXPECT_THAT(Sync([&](auto done) { controller_->Shutdown(ctx_, "s", std::move(done)); }),
              StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(RemoteControllerTest, AWaitOutlivesARestart) {
  auto waited = Async<sandbox::SandboxExit>(
      [&](auto done) { controller_->Wait(ctx_, "s", std::move(done)); });
  ASSERT_TRUE(Eventually([&] { return fake_.waits == 1; }));
  StopServer();
  StartServer();
  ASSERT_TRUE(Eventually([&] { return fake_.waits == 2; }));
  fake_.ended = true;
  const auto exit = waited.get();
  ASSERT_THAT(exit, IsOk());
  EXPECT_EQ(exit->status, 137U);
  EXPECT_EQ(exit->exited_at, absl::FromUnixSeconds(11));
}

TEST_F(RemoteControllerTest, AWaitEndsWithItsCallerAndItsController) {
  StopServer();
  std::stop_source stop;
  const Context ctx{.ns = "ns", .stop = stop.get_token()};
  auto by_caller =
      Async<sandbox::SandboxExit>([&](auto done) { controller_->Wait(ctx, "s", std::move(done)); });
  auto by_owner = Async<sandbox::SandboxExit>(
      [&](auto done) { controller_->Wait(ctx_, "s", std::move(done)); });
  stop.request_stop();
  EXPECT_THAT(by_caller.get(), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_NE(by_owner.wait_for(std::chrono::milliseconds(300)), std::future_status::ready);
  controller_.reset();
  EXPECT_FALSE(by_owner.get().ok());
}

TEST_F(RemoteControllerTest, OtherErrorsEndAWait) {
  fake_.answer = {grpc::StatusCode::NOT_FOUND, "sandbox"};
  fake_.ended = true;
  EXPECT_THAT(Async<sandbox::SandboxExit>([&](auto done) {
                controller_->Wait(ctx_, "s", std::move(done));
              }).get(),
              StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace gantry::proxies
