// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <utility>

#include "core/base/context.h"
#include "core/base/worker_pool.h"
#include "core/containers/container_store.h"
#include "core/content/content_store.h"
#include "core/plugin/plugin.h"
#include "core/runtime/task_manager.h"
#include "proto/services/tasks/v1/tasks.pb.h"

namespace gantry::tasks {

// What the Tasks service adds to the runtime: it knows containers by their records, and filters.
//
// Threads: all methods from any thread. They return at once and answer through `done`.
class Frontend {
 public:
  template <typename T>
  using Done = runtime::Done<T>;

  // `dumps` is a directory of its own for what CRIU writes, until it has become content.
  Frontend(runtime::TaskManager& tasks, containers::ContainerStore containers,
           content::ContentStore& content, base::WorkerPool& workers, std::filesystem::path dumps)
      : tasks_(tasks),
        containers_(containers),
        content_(content),
        workers_(workers),
        dumps_(std::move(dumps)) {}

  runtime::TaskManager& tasks() { return tasks_; }

  // Makes a task of a container. NotFound without a record of that name.
  void Create(const Context& ctx,
              const ::containerd::services::tasks::v1::CreateTaskRequest& request,
              Done<uint32_t> done);

  // NotFound also without a record of the container.
  void Delete(const Context& ctx, const std::string& id, Done<runtime::Exit> done);

  // Into the directory that the options name, or else into content: then the response has the
  // descriptors of dump and spec. InvalidArgument for options of another type.
  void Checkpoint(const Context& ctx,
                  const ::containerd::services::tasks::v1::CheckpointTaskRequest& request,
                  Done<::containerd::services::tasks::v1::CheckpointTaskResponse> done);

  // Filters see `id` and `namespace`.
  void Metrics(const Context& ctx, const ::containerd::services::tasks::v1::MetricsRequest& request,
               Done<::containerd::services::tasks::v1::MetricsResponse> done);

 private:
  using CheckpointRequest = ::containerd::services::tasks::v1::CheckpointTaskRequest;
  using CheckpointResponse = ::containerd::services::tasks::v1::CheckpointTaskResponse;

  void AddRestore(const Context& ctx,
                  const ::containerd::services::tasks::v1::CreateTaskRequest& request,
                  runtime::CreateOptions& options);
  void CheckpointIntoContent(const Context& ctx, const CheckpointRequest& request,
                             Done<CheckpointResponse> done);
  absl::StatusOr<CheckpointResponse> StoreDump(const Context& ctx,
                                               const containers::Container& container,
                                               const std::filesystem::path& dump);

  runtime::TaskManager& tasks_;
  containers::ContainerStore containers_;
  content::ContentStore& content_;
  base::WorkerPool& workers_;
  const std::filesystem::path dumps_;
};

inline constexpr plugin::Kind<Frontend> kTasksService{"io.containerd.service.v1"};

// The frontend as plugin tasks-service. `workers` outlives it.
plugin::Registration FrontendPlugin(base::WorkerPool& workers);

}  // namespace gantry::tasks
