// SPDX-License-Identifier: Apache-2.0
#include "services/mounts/service.h"

#include <memory>
#include <utility>
#include <vector>

#include "core/filters/filter.h"
#include "core/mount/manager/plugin.h"
#include "proto/services/mounts/v1/mounts.grpc.pb.h"
#include "services/mounts/convert.h"
#include "services/rpc/service.h"
#include "services/rpc/stream.h"
#include "services/rpc/unary.h"

namespace gantry::mount {
namespace {

namespace pb = ::containerd::services::mounts::v1;
using google::protobuf::Empty;
using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;
using rpc::RunUnary;

constexpr size_t kMounters = 4;
constexpr size_t kMaxWaiting = 256;

// Sends one activation per message. They are read at once: there are as few as mounts on a host.
class ListCursor {
 public:
  ListCursor(const MountManager& manager, const pb::ListRequest& request)
      : manager_(manager), filter_(filters::Parse(request.filters())) {}

  absl::StatusOr<bool> Next(const Context& ctx, pb::ListMessage& message) {
    RETURN_IF_ERROR(filter_.status());
    if (!read_) RETURN_IF_ERROR(Read(ctx));
    if (next_ == infos_.size()) return false;
    ToProto(infos_[next_++], message.mutable_info());
    return true;
  }

 private:
  absl::Status Read(const Context& ctx) {
    read_ = true;
    return manager_.List(ctx, *filter_, [this](const ActivationInfo& info) {
      infos_.push_back(info);
      return absl::OkStatus();
    });
  }

  const MountManager& manager_;
  const absl::StatusOr<filters::Filter> filter_;
  bool read_ = false;
  std::vector<ActivationInfo> infos_;
  size_t next_ = 0;
};

class MountsService final : public rpc::Service, public pb::Mounts::CallbackService {
 public:
  MountsService(MountManager& manager, base::WorkerPool& workers)
      : manager_(manager), workers_(workers) {}

  grpc::Service& grpc() override { return *this; }

  ServerUnaryReactor* Activate(CallbackServerContext* call, const pb::ActivateRequest* request,
                               pb::ActivateResponse* response) override {
    return RunUnary(call, mounters_, response,
                    [this, request](const Context& ctx) -> absl::StatusOr<pb::ActivateResponse> {
                      ASSIGN_OR_RETURN(
                          const ActivationInfo info,
                          manager_.Activate(ctx, request->name(), FromProto(request->mounts()),
                                            OptionsOf(*request)));
                      pb::ActivateResponse activated;
                      ToProto(info, activated.mutable_info());
                      return activated;
                    });
  }

  ServerUnaryReactor* Deactivate(CallbackServerContext* call, const pb::DeactivateRequest* request,
                                 Empty* response) override {
    return RunUnary(call, mounters_, response, [this, request](const Context& ctx) -> absl::Status {
      return manager_.Deactivate(ctx, request->name());
    });
  }

  ServerUnaryReactor* Info(CallbackServerContext* call, const pb::InfoRequest* request,
                           pb::InfoResponse* response) override {
    return RunUnary(call, workers_, response,
                    [this, request](const Context& ctx) -> absl::StatusOr<pb::InfoResponse> {
                      ASSIGN_OR_RETURN(const ActivationInfo info,
                                       manager_.Info(ctx, request->name()));
                      pb::InfoResponse found;
                      ToProto(info, found.mutable_info());
                      return found;
                    });
  }

  // No more than upstream: there is no telling what a change of labels means to a client that made
  // the mounts.
  ServerUnaryReactor* Update(CallbackServerContext* call, const pb::UpdateRequest*,
                             pb::UpdateResponse* response) override {
    return rpc::RunAsync(call, response, [](const Context&, rpc::Done<pb::UpdateResponse> done) {
      std::move(done)(Unimplemented("update of mounts"));
    });
  }

  grpc::ServerWriteReactor<pb::ListMessage>* List(CallbackServerContext* call,
                                                  const pb::ListRequest* request) override {
    auto cursor = std::make_shared<ListCursor>(manager_, *request);
    return rpc::RunStream<pb::ListMessage>(call, workers_,
                                           [cursor](const Context& ctx, pb::ListMessage& message) {
                                             return cursor->Next(ctx, message);
                                           });
  }

 private:
  MountManager& manager_;
  base::WorkerPool& workers_;
  base::WorkerPool mounters_{"mounter", kMounters, kMaxWaiting};
};

}  // namespace

plugin::Registration ServicePlugin(base::WorkerPool& workers) {
  return plugin::Provide(rpc::kService,
                         plugin::Spec<rpc::Service>{
                             .id = "mounts",
                             .needs = {kMountManager.uri},
                             .init = [&workers](plugin::InitContext& init)
                                 -> absl::StatusOr<std::unique_ptr<rpc::Service>> {
                               ASSIGN_OR_RETURN(MountManager * manager, init.Get(kMountManager));
                               return std::make_unique<MountsService>(*manager, workers);
                             }});
}

}  // namespace gantry::mount
