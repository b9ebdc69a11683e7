// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/task_stats.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "core/runtime/cgroup_metrics.h"
#include "proto/runtime/task/v3/shim.pb.h"

namespace gantry::runtime {
namespace {

namespace pb = ::containerd::task::v3;
using google::protobuf::Any;

// Shims that answer Stats from the files of the cgroup that the init process was made in.
constexpr std::array<std::string_view, 2> kPlainShims = {"containerd-shim-runc-v2",
                                                         "containerd-shim-gantry-v2"};

bool ReadsCgroupFiles(const Shim& shim) {
  const std::string name = shim.program().filename().string();
  return std::find(kPlainShims.begin(), kPlainShims.end(), name) != kPlainShims.end();
}

void AskShim(TaskEnv& env, const Task& task, Done<Any> done) {
  pb::StatsRequest request;
  request.set_id(task.id());
  task.shim()->Call<pb::StatsResponse>(
      "Stats", request, env.In(env.timeouts().shim_stats),
      [done = std::move(done)](absl::StatusOr<pb::StatsResponse> response) mutable {
        if (!response.ok()) return done(response.status());
        if (!response->has_stats()) return done(NotFound("no stats"));
        done(std::move(*response->mutable_stats()));
      });
}

}  // namespace

void LocateCgroup(Task& task) {
  const ProcessState init = task.Init();
  if (init.pid == 0 || !ReadsCgroupFiles(*task.shim())) return;
  absl::StatusOr<CgroupPlace> place = FindCgroup(static_cast<pid_t>(init.pid));
  // Had the process ended meanwhile, its number could be another's.
  if (place.ok() && task.Init().status != Status::kStopped) task.SetCgroup(*std::move(place));
}

void CollectStats(TaskEnv& env, const std::shared_ptr<Task>& task, Done<Any> done) {
  std::optional<CgroupPlace> place = task->cgroup();
  // A process that we did not see made may be in another cgroup by now. The shim knows the first.
  if (!place) return AskShim(env, *task, std::move(done));
  env.shims.steps().Run([place = *std::move(place), done = std::move(done)]() mutable {
    done(ReadCgroupMetrics(place));
  });
}

}  // namespace gantry::runtime
