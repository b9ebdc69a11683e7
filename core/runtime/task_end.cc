// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/task_end.h"

#include <utility>

#include "core/log/log.h"
#include "core/runtime/cgroup_remains.h"
#include "core/runtime/exit_watch.h"
#include "core/runtime/task_mounts.h"

namespace gantry::runtime {
namespace {

constexpr uint32_t kUnknownExitStatus = 255;
// How long processes that were killed are waited for until their cgroup is given up.
constexpr absl::Duration kCgroupPatience = absl::Milliseconds(500);

void WarnUnlessOk(const Bundle& bundle, std::string_view what, const absl::Status& status) {
  if (status.ok()) return;
  log::Warn(what, {{"ns", bundle.ns()}, {"container", bundle.id()}, {"error", status}});
}

// Those that the OCI runtime made and was killed before it could note.
void RemoveCgroupsOf(const Bundle& bundle) {
  const absl::StatusOr<std::string> spec = bundle.ReadSpec();
  if (!spec.ok()) return;  // A task without spec of its own has no cgroups that we know.
  if (const auto path = CgroupsPathOf(*spec))
    WarnUnlessOk(bundle, "cannot remove cgroups", RemoveCgroups(*path, kCgroupPatience));
}

}  // namespace

void ShutDown(TaskEnv& env, const std::shared_ptr<Shim>& shim, Then then) {
  env.shims.AskToEnd(shim, [&env, shim, then = std::move(then)](const absl::Status& ended) mutable {
    WarnUnlessOk(shim->bundle(), "shim did not shut down", ended);
    env.shims.Release(shim);
    then();
  });
}

void RemoveBundle(TaskEnv& env, const Bundle& bundle, Then then) {
  env.shims.steps().Run([&env, bundle, then = std::move(then)]() mutable {
    const absl::Status removed = bundle.Remove(/*may_unmount=*/false);
    if (!absl::IsUnavailable(removed)) {
      WarnUnlessOk(bundle, "cannot remove a bundle", removed);
      return DeactivateRootfs(env, bundle, std::move(then));
    }
    env.shims.slow_steps().Run([&env, bundle, then = std::move(then)]() mutable {
      WarnUnlessOk(bundle, "cannot remove a bundle", bundle.Remove(/*may_unmount=*/true));
      DeactivateRootfs(env, bundle, std::move(then));
    });
  });
}

void CleanUpWithoutShim(TaskEnv& env, const std::shared_ptr<Task>& task,
                        const std::filesystem::path& program,
                        absl::AnyInvocable<void(absl::StatusOr<Exit>)> then) {
  if (program.empty()) return then(NotFound("program of the shim is not known"));
  const Bundle bundle(env.roots, task->ns(), task->id());
  env.shims.launcher().Delete(
      bundle, program, env.timeouts().cleanup,
      [&env, bundle, then = std::move(then)](absl::StatusOr<Exit> exit) mutable {
        WarnUnlessOk(bundle, "cannot clean up after a shim", exit.status());
        env.shims.slow_steps().Run(
            [bundle, exit = std::move(exit), then = std::move(then)]() mutable {
              RemoveCgroupsOf(bundle);
              then(std::move(exit));
            });
      });
}

void BuryTask(TaskEnv& env, const std::shared_ptr<Task>& task, const std::filesystem::path& program,
              Then then) {
  log::Info("cleaning up after a lost shim", {{"ns", task->ns()}, {"container", task->id()}});
  CleanUpWithoutShim(
      env, task, program,
      [&env, task, then = std::move(then)](absl::StatusOr<Exit> cleaned) mutable {
        Exit exit =
            cleaned.ok() ? *cleaned : Exit{.status = kUnknownExitStatus, .exited_at = absl::Now()};
        // An exit that was seen before counts; it was no matter of the shim's death.
        if (!task->SetExit({}, exit)) {
          const ProcessState init = task->Init();
          exit = {.pid = init.pid, .status = init.exit_status, .exited_at = init.exited_at};
        }
        const Bundle bundle(env.roots, task->ns(), task->id());
        // What is mounted may take long to go; the exit is out before.
        AnnounceExit(env, task, exit);
        RemoveBundle(env, bundle, [&env, task, exit, then = std::move(then)]() mutable {
          PublishDelete(env, *task, exit);
          env.tasks.Erase(*task);
          task->FinishDelete(exit);
          task->BecomeReady();  // answers those who waited for it to load: it is not there any more
          then();
        });
      });
}

void OnShimLost(TaskEnv& env, const std::weak_ptr<Task>& lost,
                const std::filesystem::path& program) {
  const std::shared_ptr<Task> task = lost.lock();
  // A task that is being made or deleted sees its call fail, and that operation cleans up.
  if (task == nullptr || !(task->Move(Task::Phase::kReady, Task::Phase::kDead) ||
                           task->Move(Task::Phase::kLoading, Task::Phase::kDead))) {
    return;
  }
  BuryTask(env, task, program, [] {});
}

}  // namespace gantry::runtime
