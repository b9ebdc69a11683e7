// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/restart/change.h"

#include <string>

#include "core/json/json.h"
#include "core/log/log.h"

namespace gantry::runtime::restart {
namespace {

bool WantsTerminal(const containers::Container& container) {
  if (!container.spec) return false;
  const absl::StatusOr<Json> spec = ParseJson(container.spec->value(), "spec");
  if (!spec.ok()) return false;  // what is wrong with it, the shim will say
  const Json* process = Member(*spec, "process");
  return process != nullptr && BoolMember(*process, "terminal");
}

}  // namespace

Change::Change(std::shared_ptr<MonitorCore> core, ContainerKey key)
    : core_(std::move(core)),
      key_(std::move(key)),
      ctx_(Context{.ns = key_.ns, .stop = core_->stop_token()}.WithBudget(core_->options.budget)) {}

void Change::Begin(std::shared_ptr<MonitorCore> core, ContainerKey key) {
  if (!core->Begin(key)) return;
  std::shared_ptr<Change>(new Change(std::move(core), std::move(key)))->Look();
}

void Change::Look() {
  const auto inside = core_->Enter();
  if (!inside) return;
  core_->parts.tasks->Get(
      ctx_, key_.id, [self = shared_from_this()](absl::StatusOr<ProcessState> state) {
        // Too many waiting: the next pass looks again.
        static_cast<void>(self->core_->InWorker(
            [self, state = std::move(state)]() mutable { self->Judge(std::move(state)); }));
      });
}

void Change::Judge(absl::StatusOr<ProcessState> state) {
  if (!state.ok() && !absl::IsNotFound(state.status())) {
    return Fail("tell the state of the task", state.status());
  }
  std::optional<ProcessState> task;
  if (state.ok()) task = *std::move(state);
  if (task && task->status == Status::kUnknown) {
    return Fail("tell the state of the task", Unavailable("task {} has no known state", key_.id));
  }
  // Read anew: since the list was made, someone may have changed what they want.
  auto container = core_->parts.containers.Get(ctx_, key_.id);
  if (absl::IsNotFound(container.status())) return;
  if (!container.ok()) return Fail("read the container", container.status());
  // Whoever has started another since has had their way.
  if (task) core_->SetReplacing(key_, std::nullopt);
  goes_on_ = !task && core_->Replacing(key_) == container->created_at;
  const absl::StatusOr<Action> action =
      goes_on_ ? DecideAgain(container->labels) : Decide(container->labels, task);
  if (!action.ok()) return Fail("read the labels", action.status());
  const bool created = task && task->status == Status::kCreated;
  const bool was_created = core_->SwapSeenCreated(key_, created);
  container_ = *std::move(container);
  has_task_ = task.has_value();
  has_ended_ = task && task->status == Status::kStopped;
  switch (*action) {
    case Action::kLeave:
      return core_->Content(key_);
    case Action::kStop:
      return Remove(&Change::Settled);
    case Action::kStart:
      if (!created || was_created) FindRootfs();
  }
}

void Change::FindRootfs() {
  if (container_.snapshot_key.empty()) return Count();
  const auto snapshotter = core_->parts.snapshotters.find(container_.snapshotter);
  if (snapshotter == core_->parts.snapshotters.end()) {
    return Fail("mount the snapshot",
                NotFound("snapshotter {:?} not found", container_.snapshotter));
  }
  snapshotter->second->Mounts(ctx_, container_.snapshot_key,
                              [self = shared_from_this()](absl::StatusOr<mount::Mounts> mounts) {
                                const auto inside = self->core_->Enter();
                                if (!inside) return;
                                if (!mounts.ok())
                                  return self->Fail("mount the snapshot", mounts.status());
                                self->rootfs_ = *std::move(mounts);
                                // This may be a thread that must not wait for the disk.
                                static_cast<void>(self->core_->InWorker([self] { self->Count(); }));
                              });
}

void Change::Count() {
  if (goes_on_) {
    restarts_ = RestartCount(container_.labels);
    return Run();
  }
  restarts_ = RestartCount(container_.labels) + 1;
  containers::Container counted{.id = key_.id};
  counted.labels[std::string(kCountLabel)] = std::to_string(restarts_);
  auto updated =
      core_->parts.containers.Update(ctx_, counted, {fmt::format("labels.{}", kCountLabel)});
  if (!updated.ok()) return Fail("count the restart", updated.status());
  container_ = *std::move(updated);
  // Nothing is killed that was not there to be replaced: another may have been started meanwhile,
  // and then the delete is refused.
  if (has_ended_) return DeleteTask(&Change::Replace);
  if (has_task_) return Remove(&Change::Run);
  Run();
}

void Change::Remove(Step then) {
  core_->parts.tasks->Kill(
      ctx_, key_.id, [self = shared_from_this(), then](const absl::StatusOr<Nothing>& killed) {
        const auto inside = self->core_->Enter();
        if (!inside) return;
        // One that has ended, or never began, can be deleted all the same.
        if (!killed.ok()) return self->DeleteTask(then);
        self->core_->parts.tasks->Wait(
            self->ctx_, self->key_.id, [self, then](const absl::StatusOr<Exit>& ended) {
              const auto within = self->core_->Enter();
              if (!within) return;
              if (!ended.ok() && !absl::IsNotFound(ended.status())) {
                return self->Fail("wait for the end of the old task", ended.status());
              }
              self->DeleteTask(then);
            });
      });
}

void Change::DeleteTask(Step then) {
  core_->parts.tasks->Delete(
      ctx_, key_.id, [self = shared_from_this(), then](const absl::StatusOr<Exit>& deleted) {
        const auto inside = self->core_->Enter();
        if (!inside) return;
        if (!deleted.ok() && !absl::IsNotFound(deleted.status())) {
          return self->Fail("delete the old task", deleted.status());
        }
        (self.get()->*then)();
      });
}

void Change::Replace() {
  core_->SetReplacing(key_, container_.created_at);
  Run();
}

void Change::Run() {
  const bool terminal = WantsTerminal(container_);
  CreateOptions options{.spec = container_.spec,
                        .rootfs = rootfs_,
                        .stdio = StdioFor(container_.labels, terminal),
                        .runtime = container_.runtime_name,
                        .runtime_options = container_.runtime_options,
                        .sandbox_id = container_.sandbox_id};
  // Bounded by itself. Were it given up, what runs in the end would be killed.
  core_->parts.tasks->Run(ctx_.Detached(), key_.id, std::move(options),
                          [self = shared_from_this()](const absl::StatusOr<uint32_t>& pid) {
                            const auto inside = self->core_->Enter();
                            if (!inside) return;
                            if (!pid.ok()) return self->Fail("start a task", pid.status());
                            log::Info("container restarted", {{"ns", self->key_.ns},
                                                              {"container", self->key_.id},
                                                              {"pid", *pid},
                                                              {"restarts", self->restarts_}});
                            self->Settled();
                          });
}

void Change::Settled() {
  core_->SetReplacing(key_, std::nullopt);
  core_->Content(key_);
}

void Change::Fail(std::string_view act, const absl::Status& why) {
  core_->Complain(key_, act, why);
}

}  // namespace gantry::runtime::restart
