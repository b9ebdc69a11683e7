// SPDX-License-Identifier: Apache-2.0
#include "services/tasks/frontend.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "core/content/plugin.h"
#include "core/events/exchange.h"
#include "core/filters/filter.h"
#include "core/runtime/convert.h"
#include "core/runtime/plugin.h"
#include "proto/types/runc/options/oci.pb.h"
#include "services/rpc/unary.h"
#include "services/tasks/checkpoint.h"
#include "services/tasks/convert.h"

namespace gantry::tasks {
namespace {

namespace fs = std::filesystem;
namespace pb = ::containerd::services::tasks::v1;

// Annotation of a checkpoint that lies in a directory, with changes to the root file system beside
// it.
constexpr char kRestoreFromPath[] = "RestoreFromPath";

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

// Holds the dump. Should it be the last to, a worker removes the files, which takes a while; only
// if the pool is full or stopping, whoever lets go does.
std::shared_ptr<void> RemovedByWorkers(base::WorkerPool& workers,
                                       std::shared_ptr<ScopedDump> dump) {
  return {nullptr, [&workers, dump = std::move(dump)](std::nullptr_t) mutable {
            static_cast<void>(workers.TryPost([dump = std::move(dump)] {}));
          }};
}

}  // namespace

void Frontend::Create(const Context& ctx, const pb::CreateTaskRequest& request,
                      Done<uint32_t> done) {
  rpc::Post<uint32_t>(workers_, std::move(done), [this, ctx, request](Done<uint32_t> answer) {
    const auto container = containers_.Get(ctx, request.container_id());
    if (!container.ok()) return answer(container.status());
    auto options = ToCreateOptions(request, *container);
    if (!options.ok()) return answer(options.status());
    AddRestore(ctx, request, *options);
    tasks_.CreateTask(ctx, container->id, *std::move(options), std::move(answer));
  });
}

void Frontend::AddRestore(const Context& ctx, const pb::CreateTaskRequest& request,
                          runtime::CreateOptions& options) {
  if (!request.has_checkpoint()) return;
  // The caller may leave; whether the task is wanted then is the runtime's to decide.
  const Context detached = ctx.Detached();
  const auto& annotations = request.checkpoint().annotations();
  if (const auto path = annotations.find(kRestoreFromPath); path != annotations.end()) {
    options.checkpoint = path->second;
    options.prepare_restored = [detached, changes = fs::path(path->second).parent_path() /
                                                    "rootfs-diff.tar"](const fs::path& rootfs) {
      std::error_code error;
      if (!fs::exists(changes, error)) return absl::OkStatus();
      return ApplyArchive(detached, changes, rootfs);
    };
  } else if (options.checkpoint.empty()) {
    options.fetch_checkpoint =
        [this, detached,
         checkpoint = Descriptor{.media_type = request.checkpoint().media_type(),
                                 .digest = request.checkpoint().digest(),
                                 .size = request.checkpoint().size()}](const fs::path& directory) {
          return FetchCheckpoint(detached, content_, checkpoint, directory);
        };
  }
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
  if (path->empty()) return CheckpointIntoContent(ctx, request, std::move(done));
  std::optional<google::protobuf::Any> options;
  if (request.has_options()) options = request.options();
  tasks_.Checkpoint(ctx, request.container_id(), {.path = *path, .runtime = std::move(options)},
                    [done = std::move(done)](absl::StatusOr<runtime::Nothing> made) mutable {
                      if (!made.ok()) return done(made.status());
                      done(pb::CheckpointTaskResponse());
                    });
}

void Frontend::CheckpointIntoContent(const Context& ctx, const pb::CheckpointTaskRequest& request,
                                     Done<pb::CheckpointTaskResponse> done) {
  using Answer = Done<pb::CheckpointTaskResponse>;
  rpc::Post<pb::CheckpointTaskResponse>(
      workers_, std::move(done), [this, ctx, request](Answer answer) {
        auto container = containers_.Get(ctx, request.container_id());
        if (!container.ok()) return answer(container.status());
        auto made = ScopedDump::Make(dumps_);
        if (!made.ok()) return answer(made.status());
        auto dump = std::make_shared<ScopedDump>(*std::move(made));
        std::optional<google::protobuf::Any> options;
        if (request.has_options()) options = request.options();
        auto store = [this, ctx, dump, container = *std::move(container),
                      answer = std::move(answer)](absl::StatusOr<runtime::Nothing> taken) mutable {
          if (!taken.ok()) return answer(taken.status());
          rpc::Post<pb::CheckpointTaskResponse>(
              workers_, std::move(answer),
              [this, ctx, dump, container = std::move(container)](Answer stored) {
                stored(StoreDump(ctx, container, dump->path()));
              });
        };
        tasks_.Checkpoint(ctx, request.container_id(),
                          {.path = dump->path(),
                           .runtime = std::move(options),
                           .keep = RemovedByWorkers(workers_, dump)},
                          std::move(store));
      });
}

absl::StatusOr<pb::CheckpointTaskResponse> Frontend::StoreDump(
    const Context& ctx, const containers::Container& container, const fs::path& dump) {
  ASSIGN_OR_RETURN(const Descriptor state, StoreDirectory(ctx, content_, dump));
  std::string spec;
  if (container.spec) spec = container.spec->SerializeAsString();
  ASSIGN_OR_RETURN(const Descriptor config,
                   StoreBytes(ctx, content_, spec, kCheckpointConfigMediaType, dump / "spec"));
  pb::CheckpointTaskResponse response;
  for (const Descriptor& descriptor : {state, config}) {
    auto* out = response.add_descriptors();
    out->set_media_type(descriptor.media_type);
    out->set_digest(descriptor.digest);
    out->set_size(descriptor.size);
  }
  return response;
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
                 events::kExchange.uri, "io.containerd.service.v1.content-service"},
       .init = [&workers](plugin::InitContext& init) -> absl::StatusOr<std::unique_ptr<Frontend>> {
         ASSIGN_OR_RETURN(runtime::TaskManager * tasks, init.Get(runtime::kTasks, "task"));
         ASSIGN_OR_RETURN(metadata::Metadata * metadata, init.Get(metadata::kMetadata));
         ASSIGN_OR_RETURN(events::Exchange * exchange, init.Get(events::kExchange));
         ASSIGN_OR_RETURN(content::ContentStore * content,
                          init.Get(content::kContentService, "content-service"));
         ASSIGN_OR_RETURN(const fs::path dumps, init.root());
         RemoveLeftDumps(dumps);
         return std::make_unique<Frontend>(*tasks, containers::ContainerStore(*metadata, *exchange),
                                           *content, workers, dumps);
       }});
}

}  // namespace gantry::tasks
