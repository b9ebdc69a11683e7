// SPDX-License-Identifier: Apache-2.0
// Questions about all tasks of a namespace.
#include <atomic>
#include <utility>

#include "core/log/log.h"
#include "core/runtime/task_manager.h"
#include "core/runtime/task_stats.h"

namespace gantry::runtime {
namespace {

using States = std::vector<ProcessState>;
using Metrics = std::vector<TaskMetric>;

// Counts down to a call that is made once, by the last or by whoever does not want to wait longer.
class Countdown {
 public:
  Countdown(size_t count, absl::AnyInvocable<void()> then) : left_(count), then_(std::move(then)) {}

  void Done() {
    if (left_.fetch_sub(1) == 1) Finish();
  }
  bool finished() const { return finished_; }
  void Finish() {
    if (!finished_.exchange(true)) std::exchange(then_, nullptr)();
  }

 private:
  std::atomic<size_t> left_;
  std::atomic<bool> finished_ = false;
  absl::AnyInvocable<void()> then_;
};

ProcessState Describe(const TaskEnv& env, const Task& task) {
  ProcessState state = task.Init();
  if (task.phase() == Task::Phase::kLoading) {
    state.pid = Bundle(env.roots, task.ns(), task.id()).ReadInitPid();
  }
  return state;
}

States DescribeAll(const TaskEnv& env, const std::vector<std::shared_ptr<Task>>& tasks) {
  States states;
  for (const std::shared_ptr<Task>& task : tasks) {
    const Task::Phase phase = task->phase();
    if (phase == Task::Phase::kReady || phase == Task::Phase::kLoading) {
      states.push_back(Describe(env, *task));
    }
  }
  return states;
}

}  // namespace

void TaskManager::List(const Context& ctx, Done<States> done) {
  std::vector<std::shared_ptr<Task>> tasks = env_->tasks.List(ctx.ns);
  std::vector<std::shared_ptr<Task>> loading;
  for (const auto& task : tasks) {
    if (task->phase() == Task::Phase::kLoading) loading.push_back(task);
  }
  if (loading.empty()) return done(DescribeAll(*env_, tasks));

  auto caller = Caller<States>::Make(env_->shims.loop(), ctx, std::move(done));
  auto countdown = std::make_shared<Countdown>(
      loading.size(), [this, caller, tasks = std::move(tasks)]() mutable {
        env_->shims.steps().Run([this, caller, tasks = std::move(tasks)] {
          caller->Answer(DescribeAll(*env_, tasks));
        });
      });
  env_->shims.loop().After(env_->timeouts().state, [countdown] { countdown->Finish(); });
  for (const auto& task : loading) {
    task->WhenLoaded([countdown] { return !countdown->finished(); },
                     [countdown] { countdown->Done(); });
  }
}

void TaskManager::Metrics(const Context& ctx,
                          const std::function<bool(const std::string& id)>& selects,
                          Done<std::vector<TaskMetric>> done) {
  std::vector<std::shared_ptr<Task>> tasks;
  for (auto& task : env_->tasks.List(ctx.ns)) {
    if (task->phase() == Task::Phase::kReady && selects(task->id())) tasks.push_back(task);
  }
  if (tasks.empty()) return done(runtime::Metrics());

  auto caller = Caller<runtime::Metrics>::Make(env_->shims.loop(), ctx, std::move(done));
  auto found = std::make_shared<std::vector<std::optional<TaskMetric>>>(tasks.size());
  auto countdown = std::make_shared<Countdown>(tasks.size(), [caller, found] {
    runtime::Metrics metrics;
    for (auto& metric : *found) {
      if (metric) metrics.push_back(*std::move(metric));
    }
    caller->Answer(std::move(metrics));
  });
  for (size_t i = 0; i < tasks.size(); ++i) {
    CollectStats(
        *env_, tasks[i],
        [task = tasks[i], slot = &(*found)[i], found, countdown,
         at = absl::Now()](absl::StatusOr<google::protobuf::Any> stats) {
          if (stats.ok()) {
            *slot = TaskMetric{.id = task->id(), .collected_at = at, .data = *stats};
          } else if (!absl::IsNotFound(stats.status())) {
            log::Warn("task does not tell its resource usage",
                      {{"ns", task->ns()}, {"container", task->id()}, {"error", stats.status()}});
          }
          countdown->Done();
        });
  }
}

}  // namespace gantry::runtime
