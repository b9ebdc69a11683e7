// SPDX-License-Identifier: Apache-2.0
#include "services/tasks/frontend.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/events/exchange.h"
#include "core/filters/filter.h"
#include "core/runtime/convert.h"
#include "core/runtime/plugin.h"
#include "proto/types/runc/options/oci.pb.h"
#include "services/rpc/unary.h"
#include "services/tasks/convert.h"

namespace gantry::tasks {
namespace {

namespace pb = ::containerd::services::tasks::v1;

// The directory that a checkpoint is to be written to; empty if it is to become content.
absl::StatusOr<std::string> CheckpointPath(const pb::CheckpointTaskRequest& request) {
  if (!request.has_options()) return std::string();
  if (!request.options().type_url().ends_with("containerd.runc.v1.CheckpointOptions")) {
    return InvalidArgument("invalid checkpoint options {:?}", request.options().type_url());
  }
  ::containerd::runc::v1::CheckpointOptions options;
  if (!options.ParseFromString(request.options().value())) {
    return InvalidArgument("checkpoint options do not parse");
  }
  return options.image_path();
}

}  // namespace

void Frontend::Create(const Context& ctx, const pb::CreateTaskRequest& request,
                      Done<uint32_t> done) {
  rpc::Post<uint32_t>(workers_, std::move(done), [this, ctx, request](Done<uint32_t> answer) {
    const auto container = containers_.Get(ctx, request.container_id());
    if (!container.ok()) return answer(container.status());
    auto options = ToCreateOptions(request, *container);
    if (!options.ok()) return answer(options.status());
    if (request.has_checkpoint()) {
      return answer(Unimplemented("restore of a checkpoint from content"));
    }
    tasks_.CreateTask(ctx, container->id, *std::move(options), std::move(answer));
  });
}

void Frontend::Delete(const Context& ctx, const std::string& id, Done<runtime::Exit> done) {
  rpc::Post<runtime::Exit>(workers_, std::move(done), [this, ctx, id](Done<runtime::Exit> answer) {
    const auto container = containers_.Get(ctx, id);
    if (!container.ok()) return answer(container.status());
    tasks_.Delete(ctx, id, std::move(answer));
  });
}

void Frontend::Checkpoint(const Context& ctx, const pb::CheckpointTaskRequest& request,
                          Done<pb::CheckpointTaskResponse> done) {
  const absl::StatusOr<std::string> path = CheckpointPath(request);
  if (!path.ok()) return done(path.status());
  if (path->empty()) return done(Unimplemented("checkpoint into content"));
  std::optional<google::protobuf::Any> options;
  if (request.has_options()) options = request.options();
  tasks_.Checkpoint(ctx, request.container_id(), *path, std::move(options),
                    [done = std::move(done)](absl::StatusOr<runtime::Nothing> made) mutable {
                      if (!made.ok()) return done(made.status());
                      done(pb::CheckpointTaskResponse());
                    });
}

void Frontend::Metrics(const Context& ctx, const pb::MetricsRequest& request,
                       Done<pb::MetricsResponse> done) {
  using Collected = std::vector<runtime::TaskMetric>;
  const absl::StatusOr<filters::Filter> filter = filters::Parse(request.filters());
  if (!filter.ok()) return done(filter.status());
  const auto selects = [&](const std::string& id) {
    return filter->Matches([&](filters::FieldPath path) -> std::optional<std::string> {
      if (path[0] == "id") return id;
      if (path[0] == "namespace") return ctx.ns;
      return std::nullopt;
    });
  };
  tasks_.Metrics(ctx, selects, [done = std::move(done)](absl::StatusOr<Collected> metrics) mutable {
    if (!metrics.ok()) return done(metrics.status());
    pb::MetricsResponse response;
    for (runtime::TaskMetric& metric : *metrics) {
      auto* out = response.add_metrics();
      *out->mutable_timestamp() = runtime::TimeToProto(metric.collected_at);
      out->set_id(std::move(metric.id));
      *out->mutable_data() = std::move(metric.data);
    }
    done(std::move(response));
  });
}

plugin::Registration FrontendPlugin(base::WorkerPool& workers) {
  return plugin::Provide(
      kTasksService,
      {.id = "tasks-service",
       .needs = {runtime::kTasks.uri, runtime::kTaskMonitor.uri, metadata::kMetadata.uri,
                 events::kExchange.uri},
       .init = [&workers](plugin::InitContext& init) -> absl::StatusOr<std::unique_ptr<Frontend>> {
         ASSIGN_OR_RETURN(runtime::TaskManager * tasks, init.Get(runtime::kTasks, "task"));
         ASSIGN_OR_RETURN(metadata::Metadata * metadata, init.Get(metadata::kMetadata));
         ASSIGN_OR_RETURN(events::Exchange * exchange, init.Get(events::kExchange));
         return std::make_unique<Frontend>(*tasks, containers::ContainerStore(*metadata, *exchange),
                                           workers);
       }});
}

}  // namespace gantry::tasks
