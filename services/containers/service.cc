// SPDX-License-Identifier: Apache-2.0
#include "services/containers/service.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/containers/container_store.h"
#include "core/containers/plugin.h"
#include "proto/services/containers/v1/containers.grpc.pb.h"
#include "services/containers/convert.h"
#include "services/rpc/convert.h"
#include "services/rpc/service.h"
#include "services/rpc/stream.h"
#include "services/rpc/unary.h"

namespace gantry::containers {
namespace {

namespace pb = ::containerd::services::containers::v1;
using google::protobuf::Empty;
using rpc::RunUnary;

constexpr size_t kPage = 100;

// Sends one container per message, reading a page of records at a time.
class ListCursor {
 public:
  ListCursor(ContainerStore& store, const pb::ListContainersRequest& request)
      : store_(store), filter_(filters::Parse(request.filters())) {}

  absl::StatusOr<bool> Next(const Context& ctx, pb::ListContainerMessage& message) {
    RETURN_IF_ERROR(filter_.status());
    for (;;) {
      if (next_ == page_.size()) {
        if (last_page_) return false;
        RETURN_IF_ERROR(ReadPage(ctx));
        continue;
      }
      const Container& container = page_[next_++];
      if (!Matches(*filter_, container)) continue;
      ToProto(container, message.mutable_container());
      return true;
    }
  }

 private:
  absl::Status ReadPage(const Context& ctx) {
    const std::string after = page_.empty() ? std::string() : page_.back().id;
    ASSIGN_OR_RETURN(page_, store_.List(ctx, after, kPage));
    next_ = 0;
    last_page_ = page_.size() < kPage;
    return absl::OkStatus();
  }

  ContainerStore& store_;
  const absl::StatusOr<filters::Filter> filter_;
  std::vector<Container> page_;
  size_t next_ = 0;
  bool last_page_ = false;
};

class ContainersService final : public rpc::Service, public pb::Containers::CallbackService {
 public:
  ContainersService(ContainerStore& store, base::WorkerPool& workers)
      : store_(store), workers_(workers) {}

  grpc::Service& grpc() override { return *this; }

  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* call,
                                const pb::GetContainerRequest* request,
                                pb::GetContainerResponse* response) override {
    return RunUnary(
        call, workers_, response,
        [this, request](const Context& ctx) -> absl::StatusOr<pb::GetContainerResponse> {
          ASSIGN_OR_RETURN(const Container container, store_.Get(ctx, request->id()));
          pb::GetContainerResponse found;
          ToProto(container, found.mutable_container());
          return found;
        });
  }

  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* call,
                                 const pb::ListContainersRequest* request,
                                 pb::ListContainersResponse* response) override {
    return RunUnary(
        call, workers_, response,
        [this, request](const Context& ctx) -> absl::StatusOr<pb::ListContainersResponse> {
          ASSIGN_OR_RETURN(const filters::Filter filter, filters::Parse(request->filters()));
          ASSIGN_OR_RETURN(const std::vector<Container> all, store_.List(ctx));
          pb::ListContainersResponse list;
          for (const Container& container : all) {
            if (Matches(filter, container)) ToProto(container, list.add_containers());
          }
          return list;
        });
  }

  grpc::ServerWriteReactor<pb::ListContainerMessage>* ListStream(
      grpc::CallbackServerContext* call, const pb::ListContainersRequest* request) override {
    auto cursor = std::make_unique<ListCursor>(store_, *request);
    return rpc::RunStream<pb::ListContainerMessage>(
        call, workers_,
        [cursor = std::move(cursor)](const Context& ctx, pb::ListContainerMessage& message) {
          return cursor->Next(ctx, message);
        });
  }

  grpc::ServerUnaryReactor* Create(grpc::CallbackServerContext* call,
                                   const pb::CreateContainerRequest* request,
                                   pb::CreateContainerResponse* response) override {
    return RunUnary(
        call, workers_, response,
        [this, request](const Context& ctx) -> absl::StatusOr<pb::CreateContainerResponse> {
          if (!request->has_container())
            return InvalidArgument("container is missing in the request");
          ASSIGN_OR_RETURN(const Container container,
                           store_.Create(ctx, FromProto(request->container())));
          pb::CreateContainerResponse created;
          ToProto(container, created.mutable_container());
          return created;
        });
  }

  grpc::ServerUnaryReactor* Update(grpc::CallbackServerContext* call,
                                   const pb::UpdateContainerRequest* request,
                                   pb::UpdateContainerResponse* response) override {
    return RunUnary(
        call, workers_, response,
        [this, request](const Context& ctx) -> absl::StatusOr<pb::UpdateContainerResponse> {
          if (!request->has_container())
            return InvalidArgument("container is missing in the request");
          ASSIGN_OR_RETURN(const Container container,
                           store_.Update(ctx, FromProto(request->container()),
                                         rpc::FromProto(request->update_mask())));
          pb::UpdateContainerResponse updated;
          ToProto(container, updated.mutable_container());
          return updated;
        });
  }

  grpc::ServerUnaryReactor* Delete(grpc::CallbackServerContext* call,
                                   const pb::DeleteContainerRequest* request,
                                   Empty* response) override {
    return RunUnary(call, workers_, response, [this, request](const Context& ctx) {
      return store_.Delete(ctx, request->id());
    });
  }

 private:
  ContainerStore& store_;
  base::WorkerPool& workers_;
};

}  // namespace

plugin::Registration ServicePlugin(base::WorkerPool& workers) {
  return plugin::Provide(rpc::kService,
                         plugin::Spec<rpc::Service>{
                             .id = "containers",
                             .needs = {kContainerService.uri},
                             .init = [&workers](plugin::InitContext& init)
                                 -> absl::StatusOr<std::unique_ptr<rpc::Service>> {
                               ASSIGN_OR_RETURN(ContainerStore * store,
                                                init.Get(kContainerService, "containers-service"));
                               return std::make_unique<ContainersService>(*store, workers);
                             }});
}

}  // namespace gantry::containers
