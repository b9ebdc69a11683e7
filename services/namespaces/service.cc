// SPDX-License-Identifier: Apache-2.0
#include "services/namespaces/service.h"

#include <memory>

#include "core/namespaces/namespace_store.h"
#include "core/namespaces/plugin.h"
#include "proto/services/namespaces/v1/namespace.grpc.pb.h"
#include "services/rpc/convert.h"
#include "services/rpc/service.h"
#include "services/rpc/unary.h"

namespace gantry::namespaces {
namespace {

namespace pb = ::containerd::services::namespaces::v1;
using google::protobuf::Empty;
using rpc::RunUnary;

Namespace FromProto(const pb::Namespace& ns) { return {ns.name(), rpc::FromProto(ns.labels())}; }

void ToProto(const Namespace& ns, pb::Namespace* out) {
  out->set_name(ns.name);
  rpc::ToProto(ns.labels, out->mutable_labels());
}

class NamespacesService final : public rpc::Service, public pb::Namespaces::CallbackService {
 public:
  NamespacesService(NamespaceStore& store, base::WorkerPool& workers)
      : store_(store), workers_(workers) {}

  grpc::Service& grpc() override { return *this; }

  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* call,
                                const pb::GetNamespaceRequest* request,
                                pb::GetNamespaceResponse* response) override {
    return RunUnary(
        call, workers_, response,
        [this, request](const Context& ctx) -> absl::StatusOr<pb::GetNamespaceResponse> {
          ASSIGN_OR_RETURN(const Namespace ns, store_.Get(ctx, request->name()));
          pb::GetNamespaceResponse found;
          ToProto(ns, found.mutable_namespace_());
          return found;
        },
        rpc::Namespace::kIgnored);
  }

  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* call,
                                 const pb::ListNamespacesRequest*,
                                 pb::ListNamespacesResponse* response) override {
    return RunUnary(
        call, workers_, response,
        [this](const Context& ctx) -> absl::StatusOr<pb::ListNamespacesResponse> {
          ASSIGN_OR_RETURN(const auto all, store_.List(ctx));
          pb::ListNamespacesResponse list;
          for (const Namespace& ns : all) ToProto(ns, list.add_namespaces());
          return list;
        },
        rpc::Namespace::kIgnored);
  }

  grpc::ServerUnaryReactor* Create(grpc::CallbackServerContext* call,
                                   const pb::CreateNamespaceRequest* request,
                                   pb::CreateNamespaceResponse* response) override {
    return RunUnary(
        call, workers_, response,
        [this, request](const Context& ctx) -> absl::StatusOr<pb::CreateNamespaceResponse> {
          if (!request->has_namespace_())
            return InvalidArgument("namespace is missing in the request");
          RETURN_IF_ERROR(store_.Create(ctx, FromProto(request->namespace_())));
          pb::CreateNamespaceResponse created;
          *created.mutable_namespace_() = request->namespace_();
          return created;
        },
        rpc::Namespace::kIgnored);
  }

  grpc::ServerUnaryReactor* Update(grpc::CallbackServerContext* call,
                                   const pb::UpdateNamespaceRequest* request,
                                   pb::UpdateNamespaceResponse* response) override {
    return RunUnary(
        call, workers_, response,
        [this, request](const Context& ctx) -> absl::StatusOr<pb::UpdateNamespaceResponse> {
          if (!request->has_namespace_())
            return InvalidArgument("namespace is missing in the request");
          ASSIGN_OR_RETURN(const Namespace ns,
                           store_.Update(ctx, FromProto(request->namespace_()),
                                         rpc::FromProto(request->update_mask())));
          pb::UpdateNamespaceResponse updated;
          ToProto(ns, updated.mutable_namespace_());
          return updated;
        },
        rpc::Namespace::kIgnored);
  }

  grpc::ServerUnaryReactor* Delete(grpc::CallbackServerContext* call,
                                   const pb::DeleteNamespaceRequest* request,
                                   Empty* response) override {
    return RunUnary(
        call, workers_, response,
        [this, request](const Context& ctx) { return store_.Delete(ctx, request->name()); },
        rpc::Namespace::kIgnored);
  }

 private:
  NamespaceStore& store_;
  base::WorkerPool& workers_;
};

}  // namespace

plugin::Registration ServicePlugin(base::WorkerPool& workers) {
  return plugin::Provide(rpc::kService,
                         plugin::Spec<rpc::Service>{
                             .id = "namespaces",
                             .needs = {kNamespaceService.uri},
                             .init = [&workers](plugin::InitContext& init)
                                 -> absl::StatusOr<std::unique_ptr<rpc::Service>> {
                               ASSIGN_OR_RETURN(NamespaceStore * store,
                                                init.Get(kNamespaceService, "namespaces-service"));
                               return std::make_unique<NamespacesService>(*store, workers);
                             }});
}

}  // namespace gantry::namespaces
