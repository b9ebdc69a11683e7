// SPDX-License-Identifier: Apache-2.0
#include "services/images/service.h"

#include <memory>
#include <vector>

#include "core/gc/scheduler.h"
#include "core/images/image_store.h"
#include "core/images/plugin.h"
#include "proto/services/images/v1/images.grpc.pb.h"
#include "services/images/convert.h"
#include "services/rpc/collect.h"
#include "services/rpc/convert.h"
#include "services/rpc/service.h"
#include "services/rpc/unary.h"

namespace gantry::images {
namespace {

namespace pb = ::containerd::services::images::v1;
using google::protobuf::Empty;
using rpc::RunUnary;

class ImagesService final : public rpc::Service, public pb::Images::CallbackService {
 public:
  ImagesService(ImageStore& store, gc::Scheduler& scheduler, base::WorkerPool& workers)
      : store_(store), scheduler_(scheduler), workers_(workers) {}

  grpc::Service& grpc() override { return *this; }

  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* call,
                                const pb::GetImageRequest* request,
                                pb::GetImageResponse* response) override {
    return RunUnary(call, workers_, response,
                    [this, request](const Context& ctx) -> absl::StatusOr<pb::GetImageResponse> {
                      ASSIGN_OR_RETURN(const Image image, store_.Get(ctx, request->name()));
                      pb::GetImageResponse found;
                      ToProto(image, found.mutable_image());
                      return found;
                    });
  }

  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* call,
                                 const pb::ListImagesRequest* request,
                                 pb::ListImagesResponse* response) override {
    return RunUnary(call, workers_, response,
                    [this, request](const Context& ctx) -> absl::StatusOr<pb::ListImagesResponse> {
                      ASSIGN_OR_RETURN(const filters::Filter filter,
                                       filters::Parse(request->filters()));
                      ASSIGN_OR_RETURN(const std::vector<Image> all, store_.List(ctx));
                      pb::ListImagesResponse list;
                      for (const Image& image : all) {
                        if (Matches(filter, image)) ToProto(image, list.add_images());
                      }
                      return list;
                    });
  }

  grpc::ServerUnaryReactor* Create(grpc::CallbackServerContext* call,
                                   const pb::CreateImageRequest* request,
                                   pb::CreateImageResponse* response) override {
    return RunUnary(call, workers_, response,
                    [this, request](const Context& ctx) -> absl::StatusOr<pb::CreateImageResponse> {
                      if (!request->has_image())
                        return InvalidArgument("image is missing in the request");
                      ASSIGN_OR_RETURN(
                          const Image image,
                          store_.Create(ctx, FromProto(request->image()),
                                        rpc::FromProtoIf(request->has_source_date_epoch(),
                                                         request->source_date_epoch())));
                      pb::CreateImageResponse created;
                      ToProto(image, created.mutable_image());
                      return created;
                    });
  }

  grpc::ServerUnaryReactor* Update(grpc::CallbackServerContext* call,
                                   const pb::UpdateImageRequest* request,
                                   pb::UpdateImageResponse* response) override {
    return RunUnary(call, workers_, response,
                    [this, request](const Context& ctx) -> absl::StatusOr<pb::UpdateImageResponse> {
                      if (!request->has_image())
                        return InvalidArgument("image is missing in the request");
                      ASSIGN_OR_RETURN(
                          const Image image,
                          store_.Update(ctx, FromProto(request->image()),
                                        rpc::FromProto(request->update_mask()),
                                        rpc::FromProtoIf(request->has_source_date_epoch(),
                                                         request->source_date_epoch())));
                      pb::UpdateImageResponse updated;
                      ToProto(image, updated.mutable_image());
                      return updated;
                    });
  }

  grpc::ServerUnaryReactor* Delete(grpc::CallbackServerContext* call,
                                   const pb::DeleteImageRequest* request,
                                   Empty* response) override {
    return rpc::RunThenCollect(
        call, workers_, scheduler_, request->sync(), response, [this, request](const Context& ctx) {
          return store_.Delete(ctx, request->name(), request->target().digest());
        });
  }

 private:
  ImageStore& store_;
  gc::Scheduler& scheduler_;
  base::WorkerPool& workers_;
};

}  // namespace

plugin::Registration ServicePlugin(base::WorkerPool& workers) {
  return plugin::Provide(
      rpc::kService,
      plugin::Spec<rpc::Service>{
          .id = "images",
          .needs = {kImageService.uri, gc::kScheduler.uri},
          .init = [&workers](
                      plugin::InitContext& init) -> absl::StatusOr<std::unique_ptr<rpc::Service>> {
            ASSIGN_OR_RETURN(ImageStore * store, init.Get(kImageService, "images-service"));
            ASSIGN_OR_RETURN(gc::Scheduler * scheduler, init.Get(gc::kScheduler));
            return std::make_unique<ImagesService>(*store, *scheduler, workers);
          }});
}

}  // namespace gantry::images
