// SPDX-License-Identifier: Apache-2.0
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>

#include "core/base/testing/matchers.h"
#include "core/base/worker_pool.h"
#include "gtest/gtest.h"
#include "proto/services/content/v1/content.grpc.pb.h"
#include "services/rpc/exchange.h"
#include "services/rpc/first_answer.h"

namespace gantry::rpc {
namespace {

namespace pb = ::containerd::services::content::v1;
using ::gantry::testing::IsOkAndHolds;
using ::gantry::testing::StatusIs;
using Request = pb::WriteContentRequest;
using Response = pb::WriteContentResponse;

// Keeps all of a pool with one thread and one place in its queue busy.
class FullPool {
 public:
  FullPool() {
    std::atomic<bool> begun = false;
    EXPECT_TRUE(pool_.TryPost([this, &begun] {
      begun = true;
      begun.notify_all();
      release_.wait(false);
    }));
    begun.wait(false);
    EXPECT_TRUE(pool_.TryPost([] {}));
  }
  ~FullPool() { Release(); }
  void Release() {
    release_ = true;
    release_.notify_all();
  }
  base::WorkerPool& pool() { return pool_; }

 private:
  std::atomic<bool> release_ = false;
  base::WorkerPool pool_{"full", 1, 1};
};

// Tells on which thread it ended.
class EndingSession final : public Session<Request, Response> {
 public:
  explicit EndingSession(std::atomic<std::thread::id>& ended) : ended_(ended) {}
  ~EndingSession() override {
    ended_ = std::this_thread::get_id();
    ended_.notify_all();
  }
  absl::StatusOr<Step> Handle(const Context&, const Request&, Response&) override {
    return Step::kContinue;
  }

 private:
  std::atomic<std::thread::id>& ended_;
};

class EndingService final : public pb::Content::CallbackService {
 public:
  EndingService(base::WorkerPool& workers, base::WorkerPool& ends)
      : workers_(workers), ends_(ends) {}
  grpc::ServerBidiReactor<Request, Response>* Write(grpc::CallbackServerContext* call) override {
    return RunExchange<Request, Response>(call, workers_, ends_,
                                          std::make_unique<EndingSession>(ended_));
  }
  std::thread::id Ended() {
    ended_.wait(std::thread::id());
    return ended_;
  }

 private:
  base::WorkerPool& workers_;
  base::WorkerPool& ends_;
  std::atomic<std::thread::id> ended_ = std::thread::id();
};

TEST(ExchangeTest, ASessionNeverEndsOnAThreadOfGrpcs) {
  FullPool workers;
  base::WorkerPool ends("ends", 1, SIZE_MAX);
  std::atomic<std::thread::id> ends_thread = std::thread::id();
  ASSERT_TRUE(ends.TryPost([&] { ends_thread = std::this_thread::get_id(); }));
  EndingService service(workers.pool(), ends);
  grpc::ServerBuilder builder;
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  const auto stub = pb::Content::NewStub(server->InProcessChannel({}));
  grpc::ClientContext context;
  context.AddMetadata("containerd-namespace", "ns");
  const auto stream = stub->Write(&context);
  EXPECT_TRUE(stream->WritesDone());
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(service.Ended(), ends_thread.load());
  server->Shutdown();
}

using Answer = std::optional<absl::StatusOr<int>>;

FirstAnswer<int>::Done Until(const Context& ctx, Answer& answer) {
  return FirstAnswer<int>::Until(ctx, [&answer](absl::StatusOr<int> outcome) {
    EXPECT_FALSE(answer.has_value()) << "answered twice";
    answer.emplace(std::move(outcome));
  });
}

TEST(FirstAnswerTest, AStoppedCallerIsAnsweredAndTheWorkGoesOn) {
  std::stop_source caller;
  Answer answer;
  auto done = Until({.stop = caller.get_token()}, answer);
  EXPECT_FALSE(answer.has_value());
  caller.request_stop();
  ASSERT_TRUE(answer.has_value());
  EXPECT_THAT(*answer, StatusIs(absl::StatusCode::kCancelled));
  std::move(done)(7);
  EXPECT_THAT(*answer, StatusIs(absl::StatusCode::kCancelled));
}

TEST(FirstAnswerTest, AnOutcomeIsAnsweredOnce) {
  std::stop_source caller;
  Answer answer;
  Until({.stop = caller.get_token()}, answer)(7);
  ASSERT_TRUE(answer.has_value());
  EXPECT_THAT(*answer, IsOkAndHolds(7));
  caller.request_stop();
}

TEST(FirstAnswerTest, OneWhoStoppedBeforeIsAnsweredAtOnce) {
  std::stop_source caller;
  caller.request_stop();
  Answer answer;
  const auto done = Until({.stop = caller.get_token()}, answer);
  ASSERT_TRUE(answer.has_value());
  EXPECT_THAT(*answer, StatusIs(absl::StatusCode::kCancelled));
}

}  // namespace
}  // namespace gantry::rpc
