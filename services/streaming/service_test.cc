// SPDX-License-Identifier: Apache-2.0
#include "services/streaming/service.h"

#include <google/protobuf/empty.pb.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "core/base/testing/matchers.h"
#include "core/streaming/stream_registry.h"
#include "gtest/gtest.h"
#include "proto/services/streaming/v1/streaming.grpc.pb.h"
#include "services/streaming/stream_call.h"

namespace gantry::streaming {
namespace {

namespace pb = ::containerd::services::streaming::v1;
using ::gantry::testing::IsOk;
using google::protobuf::Any;
using grpc::StatusCode;

// The service as the plugin makes it, without the plugin around it.
class Service final : public pb::Streaming::CallbackService {
 public:
  explicit Service(StreamRegistry& streams) : streams_(streams) {}
  grpc::ServerBidiReactor<Any, Any>* Stream(grpc::CallbackServerContext* call) override {
    auto* reactor = new StreamCall(streams_);
    reactor->Start(call);
    return reactor;
  }

 private:
  StreamRegistry& streams_;
};

Any AnyOf(std::string type, std::string value = {}) {
  Any any;
  any.set_type_url(std::move(type));
  any.set_value(std::move(value));
  return any;
}

Any Init(const std::string& id) {
  pb::StreamInit init;
  init.set_id(id);
  return AnyOf("containerd.services.streaming.v1.StreamInit", init.SerializeAsString());
}

// Reads what the client sent, waiting for it.
absl::StatusOr<Any> Await(Pipe& pipe) {
  while (true) {
    auto ready = std::make_shared<std::atomic<bool>>(false);
    auto next = pipe.Poll([ready] {
      *ready = true;
      ready->notify_all();
    });
    if (next) return *std::move(next);
    ready->wait(false);
  }
}

class StreamingServiceTest : public ::testing::Test {
 protected:
  struct Client {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReaderWriter<Any, Any>> stream;
    Any received;

    bool Read() { return stream->Read(&received); }
    StatusCode End() {
      while (Read()) {
      }
      return stream->Finish().error_code();
    }
  };

  StreamingServiceTest() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = pb::Streaming::NewStub(server_->InProcessChannel({}));
  }
  ~StreamingServiceTest() override {
    registry_.CloseAll();
    server_->Shutdown();
  }

  std::unique_ptr<Client> Call(const Any& first, const std::string& ns = "ns",
                               const std::string& lease = "",
                               absl::Duration limit = absl::InfiniteDuration()) {
    auto client = std::make_unique<Client>();
    client->context.set_deadline(absl::ToChronoTime(absl::Now() + limit));
    if (!ns.empty()) client->context.AddMetadata("containerd-namespace", ns);
    if (!lease.empty()) client->context.AddMetadata("containerd-lease", lease);
    client->stream = stub_->Stream(&client->context);
    client->stream->Write(first);
    return client;
  }

  std::unique_ptr<Client> Open(const std::string& id, const std::string& lease = "",
                               absl::Duration limit = absl::InfiniteDuration()) {
    auto client = Call(Init(id), "ns", lease, limit);
    EXPECT_TRUE(client->Read());
    EXPECT_EQ(client->received.type_url(), "google.protobuf.Empty");
    EXPECT_EQ(client->received.value(), "");
    return client;
  }

  void AwaitGone(const std::string& id) {
    while (registry_.Get(ctx_, id).ok()) std::this_thread::yield();
  }

  const Context ctx_{.ns = "ns"};
  StreamRegistry registry_;
  Service service_{registry_};
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<pb::Streaming::Stub> stub_;
};

TEST_F(StreamingServiceTest, BadFirstMessagesAreRefused) {
  EXPECT_EQ(Call(AnyOf("google.protobuf.Empty"))->End(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Call(AnyOf(""))->End(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Call(AnyOf("containerd.services.streaming.v1.StreamInit", "\xff\xff"))->End(),
            StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Call(Init(""))->End(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Call(Init("x"), "")->End(), StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Call(Init("x"), "a..b")->End(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(StreamingServiceTest, AClientThatNamesNothingIsRefused) {
  Client client;
  client.context.AddMetadata("containerd-namespace", "ns");
  client.stream = stub_->Stream(&client.context);
  client.stream->WritesDone();
  EXPECT_EQ(client.End(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(StreamingServiceTest, AnAcknowledgedStreamIsVisibleAndItsIdTaken) {
  const auto client = Open("one", "lease");
  const auto entry = registry_.Find("ns", "one");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->lease, "lease");
  EXPECT_EQ(Call(Init("one"))->End(), StatusCode::ALREADY_EXISTS);
  client->context.TryCancel();
  EXPECT_EQ(client->End(), StatusCode::CANCELLED);
  AwaitGone("one");
  Open("one");
}

TEST_F(StreamingServiceTest, MessagesPassBothWaysInOrder) {
  constexpr int kMessages = 1000;  // far more than a pipe holds
  const auto client = Open("s");
  const auto stream = registry_.Get(ctx_, "s");
  ASSERT_THAT(stream, IsOk());
  std::thread writer([&] {
    for (int i = 0; i < kMessages; ++i) client->stream->Write(AnyOf("t", std::to_string(i)));
    client->stream->WritesDone();
  });
  std::thread echo([&] {
    while (true) {
      absl::StatusOr<Any> message = Await((*stream)->from_client);
      if (!message.ok()) {
        EXPECT_TRUE(absl::IsOutOfRange(message.status())) << message.status();
        break;
      }
      while (true) {
        auto ready = std::make_shared<std::atomic<bool>>(false);
        const auto taken = (*stream)->to_client.TryWrite(*message, [ready] {
          *ready = true;
          ready->notify_all();
        });
        ASSERT_THAT(taken, IsOk());
        if (*taken) break;
        ready->wait(false);
      }
    }
    (*stream)->to_client.Close();
  });
  for (int i = 0; i < kMessages; ++i) {
    ASSERT_TRUE(client->Read());
    ASSERT_EQ(client->received.value(), std::to_string(i));
  }
  EXPECT_EQ(client->End(), StatusCode::OK);
  writer.join();
  echo.join();
  AwaitGone("s");
}

TEST_F(StreamingServiceTest, AClientIsNotReadFromWhileNobodyTakesItsMessages) {
  const auto client = Open("s", "", absl::Milliseconds(500));
  const auto stream = registry_.Get(ctx_, "s");
  ASSERT_THAT(stream, IsOk());
  const Any large = AnyOf("t", std::string(1 << 20, 'x'));
  int written = 0;
  while (written < 64 && client->stream->Write(large)) ++written;
  // Once the flow-control windows are full the writer stands still until the deadline.
  EXPECT_LT(written, 64);
  EXPECT_EQ(client->End(), StatusCode::DEADLINE_EXCEEDED);
  AwaitGone("s");
  EXPECT_TRUE(absl::IsCancelled(Await((*stream)->from_client).status()));
}

TEST_F(StreamingServiceTest, AClientThatIsDoneBeforeAnyoneCameIsLetGo) {
  const auto client = Open("s");
  client->stream->WritesDone();
  EXPECT_EQ(client->End(), StatusCode::OK);
  AwaitGone("s");
}

TEST_F(StreamingServiceTest, TheOtherEndMayCloseWithAnError) {
  const auto client = Open("s");
  (*registry_.Get(ctx_, "s"))->Close(absl::DataLossError("broken"));
  EXPECT_EQ(client->End(), StatusCode::DATA_LOSS);
  AwaitGone("s");
}

TEST_F(StreamingServiceTest, HangUpsAtAnyMomentLeaveNothing) {
  for (int round = 0; round < 200; ++round) {
    const std::string id = "s" + std::to_string(round);
    const auto client = Call(Init(id));
    std::thread other;
    if (round % 3 == 0) {
      other = std::thread([this, id] {
        const auto stream = registry_.Get(ctx_, id);
        if (!stream.ok()) return;
        Any message = AnyOf("t", "x");
        (*stream)->to_client.TryWrite(message, [] {}).status().IgnoreError();
        (*stream)->Close();
      });
    }
    if (round % 2 == 0) client->stream->Write(AnyOf("t", "y"));
    client->context.TryCancel();
    client->End();
    if (other.joinable()) other.join();
    AwaitGone(id);
  }
  EXPECT_TRUE(registry_.List().empty());
}

}  // namespace
}  // namespace gantry::streaming
