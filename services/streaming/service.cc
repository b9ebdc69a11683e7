// SPDX-License-Identifier: Apache-2.0
#include "services/streaming/service.h"

#include <memory>

#include "core/streaming/stream_registry.h"
#include "proto/services/streaming/v1/streaming.grpc.pb.h"
#include "services/rpc/service.h"
#include "services/streaming/stream_call.h"

namespace gantry::streaming {
namespace {

namespace pb = ::containerd::services::streaming::v1;
using google::protobuf::Any;

class StreamingService final : public rpc::Service, public pb::Streaming::CallbackService {
 public:
  explicit StreamingService(StreamRegistry& streams) : streams_(streams) {}

  grpc::Service& grpc() override { return *this; }

  grpc::ServerBidiReactor<Any, Any>* Stream(grpc::CallbackServerContext* call) override {
    auto* reactor = new StreamCall(streams_);
    reactor->Start(call);
    return reactor;
  }

 private:
  StreamRegistry& streams_;
};

}  // namespace

plugin::Registration ServicePlugin() {
  return plugin::Provide(
      rpc::kService,
      plugin::Spec<rpc::Service>{
          .id = "streaming",
          .needs = {kStreams.uri},
          .init = [](plugin::InitContext& init) -> absl::StatusOr<std::unique_ptr<rpc::Service>> {
            ASSIGN_OR_RETURN(StreamRegistry * streams, init.Get(kStreams));
            return std::make_unique<StreamingService>(*streams);
          }});
}

}  // namespace gantry::streaming
