// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <utility>
#include <vector>

#include "core/filters/filter.h"
#include "proto/services/sandbox/v1/sandbox.grpc.pb.h"
#include "services/rpc/service.h"
#include "services/rpc/unary.h"
#include "services/sandboxes/convert.h"
#include "services/sandboxes/service.h"

namespace gantry::sandbox {
namespace {

namespace pb = ::containerd::services::sandbox::v1;
using rpc::RunUnary;
using Call = grpc::CallbackServerContext*;
using Reactor = grpc::ServerUnaryReactor*;

class StoreService final : public rpc::Service, public pb::Store::CallbackService {
 public:
  StoreService(SandboxStore& store, base::WorkerPool& workers) : store_(store), workers_(workers) {}

  grpc::Service& grpc() override { return *this; }

  Reactor Create(Call call, const pb::StoreCreateRequest* request,
                 pb::StoreCreateResponse* response) override {
    return RunUnary(call, workers_, response,
                    [this, request](const Context& ctx) -> absl::StatusOr<pb::StoreCreateResponse> {
                      if (!request->has_sandbox()) return InvalidArgument("sandbox must be set");
                      ASSIGN_OR_RETURN(const Sandbox stored,
                                       store_.Create(ctx, FromProto(request->sandbox())));
                      pb::StoreCreateResponse created;
                      ToProto(stored, created.mutable_sandbox());
                      return created;
                    });
  }

  Reactor Update(Call call, const pb::StoreUpdateRequest* request,
                 pb::StoreUpdateResponse* response) override {
    return RunUnary(call, workers_, response,
                    [this, request](const Context& ctx) -> absl::StatusOr<pb::StoreUpdateResponse> {
                      if (!request->has_sandbox()) return InvalidArgument("sandbox must be set");
                      ASSIGN_OR_RETURN(
                          const Sandbox stored,
                          store_.Update(ctx, FromProto(request->sandbox()),
                                        {request->fields().begin(), request->fields().end()}));
                      pb::StoreUpdateResponse updated;
                      ToProto(stored, updated.mutable_sandbox());
                      return updated;
                    });
  }

  Reactor Delete(Call call, const pb::StoreDeleteRequest* request,
                 pb::StoreDeleteResponse* response) override {
    return RunUnary(call, workers_, response,
                    [this, request](const Context& ctx) -> absl::StatusOr<pb::StoreDeleteResponse> {
                      RETURN_IF_ERROR(store_.Delete(ctx, request->sandbox_id()));
                      return pb::StoreDeleteResponse();
                    });
  }

  Reactor List(Call call, const pb::StoreListRequest* request,
               pb::StoreListResponse* response) override {
    return RunUnary(
        call, workers_, response,
        [this, request](const Context& ctx) -> absl::StatusOr<pb::StoreListResponse> {
          ASSIGN_OR_RETURN(const filters::Filter filter, filters::Parse(request->filters()));
          ASSIGN_OR_RETURN(const std::vector<Sandbox> sandboxes, store_.List(ctx, filter));
          pb::StoreListResponse list;
          for (const Sandbox& sandbox : sandboxes) ToProto(sandbox, list.add_list());
          return list;
        });
  }

  Reactor Get(Call call, const pb::StoreGetRequest* request,
              pb::StoreGetResponse* response) override {
    return RunUnary(call, workers_, response,
                    [this, request](const Context& ctx) -> absl::StatusOr<pb::StoreGetResponse> {
                      ASSIGN_OR_RETURN(const Sandbox sandbox,
                                       store_.Get(ctx, request->sandbox_id()));
                      pb::StoreGetResponse got;
                      ToProto(sandbox, got.mutable_sandbox());
                      return got;
                    });
  }

 private:
  SandboxStore& store_;
  base::WorkerPool& workers_;
};

}  // namespace

plugin::Registration StoreServicePlugin(base::WorkerPool& workers) {
  return plugin::Provide(
      rpc::kService, plugin::Spec<rpc::Service>{
                         .id = "sandboxes",
                         .needs = {kSandboxStore.uri},
                         .init = [&workers](plugin::InitContext& init)
                             -> absl::StatusOr<std::unique_ptr<rpc::Service>> {
                           ASSIGN_OR_RETURN(SandboxStore * store, init.Get(kSandboxStore, "local"));
                           return std::make_unique<StoreService>(*store, workers);
                         }});
}

}  // namespace gantry::sandbox
