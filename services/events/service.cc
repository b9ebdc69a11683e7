// SPDX-License-Identifier: Apache-2.0
#include "services/events/service.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/events/exchange.h"
#include "core/events/subscription.h"
#include "proto/services/events/v1/events.grpc.pb.h"
#include "services/rpc/service.h"
#include "services/rpc/unary.h"

namespace gantry::events {
namespace {

namespace pb = ::containerd::services::events::v1;
using google::protobuf::Empty;

// Sends one subscriber's events, one write at a time. Ends itself.
//
// A turn (poll, then write or sleep) is taken by whoever comes: the call that starts the stream, a
// finished write, or the publisher that wakes it. Only one of them can be due at any time.
class SubscribeCall final : public grpc::ServerWriteReactor<Envelope> {
 public:
  explicit SubscribeCall(std::unique_ptr<Subscription> subscription)
      : subscription_(std::move(subscription)) {
    // The client may rely on every event from here on.
    StartSendInitialMetadata();
  }

 private:
  void OnSendInitialMetadataDone(bool ok) override {
    if (ok) {
      Turn();
    } else {
      Finish(rpc::ToGrpc(Cancelled("client went away")));
    }
  }

  void Turn() {
    auto next = subscription_->Poll([this] { Turn(); });
    if (!next) return;
    if (!next->ok()) return Finish(rpc::ToGrpc(next->status()));
    event_ = **std::move(next);
    StartWrite(event_.get());
  }

  void OnWriteDone(bool ok) override {
    if (ok) {
      Turn();
    } else {
      Finish(rpc::ToGrpc(Cancelled("client went away")));
    }
  }
  void OnCancel() override { subscription_->Cancel(); }
  void OnDone() override { delete this; }

  const std::unique_ptr<Subscription> subscription_;
  SharedEnvelope event_;
};

// A subscription that ends at once.
class RefusedCall final : public grpc::ServerWriteReactor<Envelope> {
 public:
  explicit RefusedCall(const absl::Status& status) { Finish(rpc::ToGrpc(status)); }

 private:
  void OnDone() override { delete this; }
};

class EventsService final : public rpc::Service, public pb::Events::CallbackService {
 public:
  EventsService(Exchange& exchange, base::WorkerPool& workers)
      : exchange_(exchange), workers_(workers) {}

  grpc::Service& grpc() override { return *this; }

  grpc::ServerUnaryReactor* Publish(grpc::CallbackServerContext* call,
                                    const pb::PublishRequest* request, Empty* response) override {
    return rpc::RunUnary(call, workers_, response,
                         [this, request](const Context& ctx) -> absl::Status {
                           return exchange_.PublishAny(ctx, request->topic(), request->event());
                         });
  }

  grpc::ServerUnaryReactor* Forward(grpc::CallbackServerContext* call,
                                    const pb::ForwardRequest* request, Empty* response) override {
    return rpc::RunUnary(
        call, workers_, response,
        [this, request](const Context&) -> absl::Status {
          if (!request->has_envelope())
            return InvalidArgument("envelope is missing in the request");
          return exchange_.Forward(request->envelope());
        },
        rpc::Namespace::kIgnored);
  }

  grpc::ServerWriteReactor<Envelope>* Subscribe(grpc::CallbackServerContext*,
                                                const pb::SubscribeRequest* request) override {
    absl::StatusOr<filters::Filter> filter = filters::Parse(request->filters());
    if (!filter.ok()) return new RefusedCall(filter.status());
    return new SubscribeCall(exchange_.Subscribe(*std::move(filter)));
  }

 private:
  Exchange& exchange_;
  base::WorkerPool& workers_;
};

}  // namespace

plugin::Registration ServicePlugin(base::WorkerPool& workers) {
  return plugin::Provide(
      rpc::kService,
      plugin::Spec<rpc::Service>{.id = "events",
                                 .needs = {kExchange.uri},
                                 .init = [&workers](plugin::InitContext& init)
                                     -> absl::StatusOr<std::unique_ptr<rpc::Service>> {
                                   ASSIGN_OR_RETURN(Exchange * exchange, init.Get(kExchange));
                                   return std::make_unique<EventsService>(*exchange, workers);
                                 }});
}

}  // namespace gantry::events
