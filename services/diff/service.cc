// SPDX-License-Identifier: Apache-2.0
#include "services/diff/service.h"

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "core/base/worker_pool.h"
#include "core/diff/differ_chain.h"
#include "proto/services/diff/v1/diff.grpc.pb.h"
#include "services/rpc/convert.h"
#include "services/rpc/service.h"
#include "services/rpc/unary.h"

namespace gantry::diff {
namespace {

namespace pb = ::containerd::services::diff::v1;

// Layers at a time; far more may wait.
constexpr size_t kDiffers = 16;
constexpr size_t kMaxWaiting = 1024;

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

Descriptor FromProto(const containerd::types::Descriptor& descriptor) {
  return {.media_type = descriptor.media_type(),
          .digest = descriptor.digest(),
          .size = descriptor.size(),
          .annotations = {descriptor.annotations().begin(), descriptor.annotations().end()}};
}

void ToProto(const Descriptor& descriptor, containerd::types::Descriptor& out) {
  out.set_media_type(descriptor.media_type);
  out.set_digest(descriptor.digest);
  out.set_size(descriptor.size);
}

ApplyOptions OptionsOf(const pb::ApplyRequest& request) {
  ApplyOptions options{.sync_fs = request.sync_fs()};
  for (const auto& [id, payload] : request.payloads()) {
    options.payloads[id] = payload.SerializeAsString();
  }
  return options;
}

CompareOptions OptionsOf(const pb::DiffRequest& request) {
  CompareOptions options{.media_type = request.media_type(),
                         .ref = request.ref(),
                         .labels = {request.labels().begin(), request.labels().end()}};
  if (request.has_source_date_epoch()) {
    const auto& epoch = request.source_date_epoch();
    options.source_date_epoch =
        absl::FromUnixSeconds(epoch.seconds()) + absl::Nanoseconds(epoch.nanos());
  }
  return options;
}

class DiffService final : public rpc::Service, public pb::Diff::CallbackService {
 public:
  explicit DiffService(Differ& differ) : differ_(differ) {}

  grpc::Service& grpc() override { return *this; }

  grpc::ServerUnaryReactor* Apply(grpc::CallbackServerContext* call,
                                  const pb::ApplyRequest* request,
                                  pb::ApplyResponse* response) override {
    return rpc::RunUnary(call, workers_, response,
                         [this, request](const Context& ctx) -> absl::StatusOr<pb::ApplyResponse> {
                           if (!request->has_diff())
                             return InvalidArgument("diff is missing in the request");
                           ASSIGN_OR_RETURN(
                               const Descriptor applied,
                               differ_.Apply(ctx, FromProto(request->diff()),
                                             FromProto(request->mounts()), OptionsOf(*request)));
                           pb::ApplyResponse answer;
                           ToProto(applied, *answer.mutable_applied());
                           return answer;
                         });
  }

  grpc::ServerUnaryReactor* Diff(grpc::CallbackServerContext* call, const pb::DiffRequest* request,
                                 pb::DiffResponse* response) override {
    return rpc::RunUnary(call, workers_, response,
                         [this, request](const Context& ctx) -> absl::StatusOr<pb::DiffResponse> {
                           ASSIGN_OR_RETURN(
                               const Descriptor diff,
                               differ_.Compare(ctx, FromProto(request->left()),
                                               FromProto(request->right()), OptionsOf(*request)));
                           pb::DiffResponse answer;
                           ToProto(diff, *answer.mutable_diff());
                           return answer;
                         });
  }

 private:
  Differ& differ_;
  base::WorkerPool workers_{"differ", kDiffers, kMaxWaiting};
};

}  // namespace

plugin::Registration ServicePlugin() {
  return plugin::Provide(
      rpc::kService,
      plugin::Spec<rpc::Service>{
          .id = "diff",
          .needs = {kDiffService.uri},
          .init = [](plugin::InitContext& init) -> absl::StatusOr<std::unique_ptr<rpc::Service>> {
            ASSIGN_OR_RETURN(DifferChain * differs, init.Get(kDiffService, "diff-service"));
            return std::make_unique<DiffService>(*differs);
          }});
}

}  // namespace gantry::diff
