// SPDX-License-Identifier: Apache-2.0
#include "services/leases/service.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/filters/filter.h"
#include "core/gc/scheduler.h"
#include "core/leases/lease_store.h"
#include "core/leases/plugin.h"
#include "proto/services/leases/v1/leases.grpc.pb.h"
#include "services/rpc/collect.h"
#include "services/rpc/convert.h"
#include "services/rpc/service.h"
#include "services/rpc/unary.h"

namespace gantry::leases {
namespace {

namespace pb = ::containerd::services::leases::v1;
using google::protobuf::Empty;
using rpc::RunUnary;

void ToProto(const Lease& lease, pb::Lease* out) {
  out->set_id(lease.id);
  rpc::ToProto(lease.labels, out->mutable_labels());
  *out->mutable_created_at() = rpc::ToProto(lease.created_at);
}

bool Matches(const filters::Filter& filter, const Lease& lease) {
  return filter.Matches([&](filters::FieldPath path) -> std::optional<std::string> {
    if (path[0] == "id") return filters::NonEmpty(lease.id);
    if (path[0] == "labels") return filters::Lookup(lease.labels, path);
    return std::nullopt;
  });
}

class LeasesService final : public rpc::Service, public pb::Leases::CallbackService {
 public:
  LeasesService(LeaseStore& store, gc::Scheduler& scheduler, base::WorkerPool& workers)
      : store_(store), scheduler_(scheduler), workers_(workers) {}

  grpc::Service& grpc() override { return *this; }

  grpc::ServerUnaryReactor* Create(grpc::CallbackServerContext* call,
                                   const pb::CreateRequest* request,
                                   pb::CreateResponse* response) override {
    return RunUnary(call, workers_, response,
                    [this, request](const Context& ctx) -> absl::StatusOr<pb::CreateResponse> {
                      ASSIGN_OR_RETURN(
                          const Lease lease,
                          store_.Create(ctx, {.id = request->id(),
                                              .labels = rpc::FromProto(request->labels())}));
                      pb::CreateResponse created;
                      ToProto(lease, created.mutable_lease());
                      return created;
                    });
  }

  grpc::ServerUnaryReactor* Delete(grpc::CallbackServerContext* call,
                                   const pb::DeleteRequest* request, Empty* response) override {
    return rpc::RunThenCollect(
        call, workers_, scheduler_, request->sync(), response,
        [this, request](const Context& ctx) { return store_.Delete(ctx, request->id()); });
  }

  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* call, const pb::ListRequest* request,
                                 pb::ListResponse* response) override {
    return RunUnary(call, workers_, response,
                    [this, request](const Context& ctx) -> absl::StatusOr<pb::ListResponse> {
                      ASSIGN_OR_RETURN(const filters::Filter filter,
                                       filters::Parse(request->filters()));
                      ASSIGN_OR_RETURN(const std::vector<Lease> all, store_.List(ctx));
                      pb::ListResponse list;
                      for (const Lease& lease : all) {
                        if (Matches(filter, lease)) ToProto(lease, list.add_leases());
                      }
                      return list;
                    });
  }

  grpc::ServerUnaryReactor* AddResource(grpc::CallbackServerContext* call,
                                        const pb::AddResourceRequest* request,
                                        Empty* response) override {
    return RunUnary(call, workers_, response, [this, request](const Context& ctx) -> absl::Status {
      if (!request->has_resource()) return InvalidArgument("resource is missing in the request");
      return store_.AddResource(ctx, request->id(),
                                {request->resource().type(), request->resource().id()});
    });
  }

  grpc::ServerUnaryReactor* DeleteResource(grpc::CallbackServerContext* call,
                                           const pb::DeleteResourceRequest* request,
                                           Empty* response) override {
    return RunUnary(call, workers_, response, [this, request](const Context& ctx) -> absl::Status {
      if (!request->has_resource()) return InvalidArgument("resource is missing in the request");
      return store_.DeleteResource(ctx, request->id(),
                                   {request->resource().type(), request->resource().id()});
    });
  }

  grpc::ServerUnaryReactor* ListResources(grpc::CallbackServerContext* call,
                                          const pb::ListResourcesRequest* request,
                                          pb::ListResourcesResponse* response) override {
    return RunUnary(
        call, workers_, response,
        [this, request](const Context& ctx) -> absl::StatusOr<pb::ListResourcesResponse> {
          ASSIGN_OR_RETURN(const std::vector<Resource> all,
                           store_.ListResources(ctx, request->id()));
          pb::ListResourcesResponse list;
          for (const Resource& resource : all) {
            pb::Resource* out = list.add_resources();
            out->set_id(resource.id);
            out->set_type(resource.type);
          }
          return list;
        });
  }

 private:
  LeaseStore& store_;
  gc::Scheduler& scheduler_;
  base::WorkerPool& workers_;
};

}  // namespace

plugin::Registration ServicePlugin(base::WorkerPool& workers) {
  return plugin::Provide(
      rpc::kService, plugin::Spec<rpc::Service>{
                         .id = "leases",
                         .needs = {kLeaseManager.uri, gc::kScheduler.uri},
                         .init = [&workers](plugin::InitContext& init)
                             -> absl::StatusOr<std::unique_ptr<rpc::Service>> {
                           ASSIGN_OR_RETURN(LeaseStore * store, init.Get(kLeaseManager));
                           ASSIGN_OR_RETURN(gc::Scheduler * scheduler, init.Get(gc::kScheduler));
                           return std::make_unique<LeasesService>(*store, *scheduler, workers);
                         }});
}

}  // namespace gantry::leases
