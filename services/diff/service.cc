// SPDX-License-Identifier: Apache-2.0
#include "services/diff/service.h"

#include <memory>
#include <string>

#include "core/content/plugin.h"
#include "core/diff/apply.h"
#include "proto/services/diff/v1/diff.grpc.pb.h"
#include "services/rpc/convert.h"
#include "services/rpc/service.h"
#include "services/rpc/unary.h"

namespace gantry::diff {
namespace {

namespace pb = ::containerd::services::diff::v1;

mount::Mounts FromProto(
    const google::protobuf::RepeatedPtrField<containerd::types::Mount>& mounts) {
  mount::Mounts out;
  for (const auto& mount : mounts) {
    out.push_back({.type = mount.type(),
                   .source = mount.source(),
                   .target = mount.target(),
                   .options = {mount.options().begin(), mount.options().end()}});
  }
  return out;
}

class DiffService final : public rpc::Service, public pb::Diff::CallbackService {
 public:
  DiffService(content::ContentStore& content, base::WorkerPool& workers)
      : content_(content), workers_(workers) {}

  grpc::Service& grpc() override { return *this; }

  grpc::ServerUnaryReactor* Apply(grpc::CallbackServerContext* call,
                                  const pb::ApplyRequest* request,
                                  pb::ApplyResponse* response) override {
    return rpc::RunUnary(call, workers_, response,
                         [this, request](const Context& ctx) -> absl::StatusOr<pb::ApplyResponse> {
                           if (!request->has_diff())
                             return InvalidArgument("diff is missing in the request");
                           const Descriptor layer{.media_type = request->diff().media_type(),
                                                  .digest = request->diff().digest(),
                                                  .size = request->diff().size()};
                           ASSIGN_OR_RETURN(
                               const Descriptor applied,
                               diff::Apply(ctx, content_, layer, FromProto(request->mounts()),
                                           {.sync_fs = request->sync_fs()}));
                           pb::ApplyResponse answer;
                           answer.mutable_applied()->set_media_type(applied.media_type);
                           answer.mutable_applied()->set_digest(applied.digest);
                           answer.mutable_applied()->set_size(applied.size);
                           return answer;
                         });
  }

 private:
  content::ContentStore& content_;
  base::WorkerPool& workers_;
};

}  // namespace

plugin::Registration ServicePlugin(base::WorkerPool& workers) {
  return plugin::Provide(
      rpc::kService, plugin::Spec<rpc::Service>{
                         .id = "diff",
                         .needs = {content::kContentService.uri},
                         .init = [&workers](plugin::InitContext& init)
                             -> absl::StatusOr<std::unique_ptr<rpc::Service>> {
                           ASSIGN_OR_RETURN(content::ContentStore * content,
                                            init.Get(content::kContentService, "content-service"));
                           return std::make_unique<DiffService>(*content, workers);
                         }});
}

}  // namespace gantry::diff
