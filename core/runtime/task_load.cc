// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/task_load.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "core/base/kernel_status.h"
#include "core/kernel/tree.h"
#include "core/log/log.h"
#include "core/runtime/bundle_remains.h"
#include "core/runtime/convert.h"
#include "core/runtime/exit_watch.h"
#include "core/runtime/task_end.h"
#include "core/runtime/task_mounts.h"
#include "proto/runtime/task/v3/shim.pb.h"

namespace gantry::runtime {
namespace {

namespace fs = std::filesystem;
namespace pb = ::containerd::task::v3;

// How long to wait before the first try to reach a shim again, and at most before a later one.
constexpr absl::Duration kFirstPause = absl::Milliseconds(100);
constexpr absl::Duration kLongestPause = absl::Seconds(10);

// Whether a failure to connect proves that nobody listens any more. All else (no descriptor left, a
// full backlog, a full disk) is no reason to end a container that may be running.
bool ProvesDeath(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsNotFound(status) || IsClosed(status);
}

// Takes one task up again, or cleans up what is left of it. `then` is called once it is gone, or
// once its shim is found to be out of reach for now.
class LoadOperation : public std::enable_shared_from_this<LoadOperation> {
 public:
  // Whether the bundle's create is known to have come to nothing, or the bundle is to tell.
  enum class Create { kFailed, kAskBundle };

  LoadOperation(TaskEnv& env, std::shared_ptr<Task> task, Create create, Then then)
      : env_(env),
        task_(std::move(task)),
        bundle_(env.roots, task_->ns(), task_->id()),
        then_(std::move(then)),
        creating_(create == Create::kFailed) {}

  void Begin() {
    env_.shims.steps().Run([self = shared_from_this()] { self->FindShim(); });
  }

 private:
  void FindShim() {
    if (bundle_.empty() || bundle_.removing()) return Discard();
    creating_ = creating_ || bundle_.creating();
    // An exit that the daemon before announced stays what it was, whatever becomes of the shim.
    if (const std::optional<RecordedExit> exit = bundle_.ReadExit()) {
      task_->SetExit({}, {.status = exit->status, .exited_at = exit->exited_at});
      task_->ClaimExit({});
    }
    const absl::StatusOr<fs::path> noted = bundle_.ReadShimBinary();
    if (MayPass(noted.status())) return TryAgain(noted.status());
    // A create that had not even chosen its shim.
    if (creating_ && !noted.ok()) return Discard();
    const absl::StatusOr<fs::path> program = noted.ok() ? noted : ProgramOfContainer();
    if (!program.ok()) {
      Report("no shim program for a bundle", program.status());
      return Discard();
    }
    program_ = *program;
    const absl::StatusOr<Endpoint> endpoint = bundle_.ReadEndpoint();
    if (endpoint.ok()) return Connect(*endpoint);
    if (MayPass(endpoint.status())) return TryAgain(endpoint.status());
    Report("bundle of a shim without address", endpoint.status());
    if (!creating_) return Bury();
    absl::IsNotFound(endpoint.status()) ? FindUnnotedShim() : CleanUp();
  }

  absl::StatusOr<fs::path> ProgramOfContainer() {
    ASSIGN_OR_RETURN(const containers::Container container,
                     env_.containers.Get({.ns = task_->ns()}, task_->id()));
    return env_.shims.binaries().Resolve(container.runtime_name);
  }

  // The daemon ended while the shim started. Starting it again gives the address of the one that
  // runs, or one that can be told to end.
  void FindUnnotedShim() {
    env_.shims.Start(bundle_, program_, std::nullopt, OnLost(),
                     [self = shared_from_this()](absl::StatusOr<std::shared_ptr<Shim>> shim) {
                       if (!shim.ok()) return self->CleanUp();
                       self->shim_ = *std::move(shim);
                       self->task_->SetShim(self->shim_);
                       self->RollBack();
                     });
  }

  void Connect(const Endpoint& endpoint) {
    absl::StatusOr<std::shared_ptr<Shim>> shim =
        env_.shims.Connect(bundle_, program_, {.endpoint = endpoint}, /*record=*/false, OnLost());
    if (!shim.ok()) {
      // With one whose protocol we do not speak, no create can have got further.
      const bool over =
          ProvesDeath(shim.status()) || (creating_ && absl::IsUnimplemented(shim.status()));
      if (!over) return TryAgain(shim.status());
      Report("cannot reach a shim", shim.status());
      return creating_ ? CleanUp() : Bury();
    }
    shim_ = *std::move(shim);
    task_->SetShim(shim_);
    CallConnect();
  }

  void TryAgain(const absl::Status& why) {
    Report("cannot take up a task for now", why);
    if (creating_) Tell();
    const absl::Duration pause = pause_;
    pause_ = std::min(pause_ * 2, kLongestPause);
    env_.shims.loop().After(pause, [self = shared_from_this()] { self->Begin(); });
  }

  ShimManager::OnLost OnLost() {
    // A half made task is nobody's news.
    if (creating_) {
      return [self = shared_from_this()] {
        if (self->Hide()) self->CleanUp();
      };
    }
    return [&env = env_, task = std::weak_ptr<Task>(task_), program = program_] {
      OnShimLost(env, task, program);
    };
  }

  // Without deadline: a shim that is frozen answers when it thaws, and its container must not
  // suffer meanwhile, unless it is to be undone anyway. One that dies ends the call.
  void CallConnect() {
    pb::ConnectRequest request;
    request.set_id(task_->id());
    shim_->Call<pb::ConnectResponse>(
        "Connect", request, creating_ ? env_.In(env_.timeouts().load) : absl::InfiniteFuture(),
        [self = shared_from_this()](const absl::StatusOr<pb::ConnectResponse>& response) {
          self->OnConnected(response.status());
        });
  }

  void OnConnected(const absl::Status& status) {
    if (IsClosed(status)) return;  // the clean-up has begun
    if (absl::IsUnimplemented(status) && shim_->Downgrade()) return CallConnect();
    if (!status.ok()) Report("shim refuses to talk", status);
    if (creating_) return RollBack();  // whoever asked for the task was never told of it
    pb::StateRequest request;
    request.set_id(task_->id());
    shim_->Call<pb::StateResponse>(
        "State", request, env_.In(env_.timeouts().load),
        [self = shared_from_this()](absl::StatusOr<pb::StateResponse> state) {
          self->env_.shims.steps().Run([self, state = std::move(state)] { self->OnState(state); });
        });
  }

  void OnState(const absl::StatusOr<pb::StateResponse>& state) {
    if (IsClosed(state.status())) return;
    if (absl::IsNotFound(state.status()) && !IsSandbox()) {
      Report("shim without its container", state.status());
      return RollBack();
    }
    if (state.ok()) {
      task_->SetInit(FromProto(task_->id(), *state));
    } else {
      Report("shim does not tell a task's state", state.status());
    }
    FollowExit();
    task_->BecomeReady();
  }

  // A sandbox's shim need not have a container of the sandbox's name.
  bool IsSandbox() {
    const auto record = env_.sandboxes.Get({.ns = task_->ns()}, task_->id());
    return !absl::IsNotFound(record.status());
  }

  void FollowExit() {
    // Also of a process that has stopped: the answer leads to its announcement.
    WatchExit(env_, task_, {});
  }

  // The task is not to be seen any more. Those who waited for it to load learn that in the end.
  // False when its end has begun already.
  bool Hide() {
    return task_->Move(Task::Phase::kLoading, Task::Phase::kDeleting) ||
           task_->Move(Task::Phase::kCreating, Task::Phase::kDeleting);
  }

  void Discard() {
    Hide();
    env_.shims.slow_steps().Run([self = shared_from_this()] {
      const absl::Status removed = self->bundle_.Remove(/*may_unmount=*/true);
      if (!removed.ok()) self->Report("cannot remove a bundle", removed);
      DeactivateRootfs(self->env_, self->bundle_, [self] { self->Forget(); });
    });
  }

  void Forget() {
    env_.tasks.Erase(*task_);
    Tell();
  }

  void Tell() {
    // Of a task that is not to be seen, this tells those who waited that there is none.
    if (task_->phase() == Task::Phase::kDeleting) task_->BecomeReady();
    if (then_ != nullptr) std::exchange(then_, nullptr)();
  }

  void CleanUp() {
    Hide();
    CleanUpWithoutShim(env_, task_, program_,
                       [self = shared_from_this()](const auto&) { self->Discard(); });
  }

  void RollBack() {
    // From here on the loss of the shim is expected.
    if (!Hide()) return;
    // The connection of the daemon before broke under the create, which cut it short.
    runtime::RollBack(env_, task_, CreateOutcome::kUnknown,
                      [self = shared_from_this()] { self->Tell(); });
  }

  void Bury() {
    if (!task_->Move(Task::Phase::kLoading, Task::Phase::kDead)) return;
    BuryTask(env_, task_, program_, [] {});
  }

  void Report(std::string_view what, const absl::Status& status) {
    log::Warn(what, {{"ns", task_->ns()}, {"container", task_->id()}, {"error", status}});
  }

  TaskEnv& env_;
  const std::shared_ptr<Task> task_;
  const Bundle bundle_;
  Then then_;  // null once called
  bool creating_;
  absl::Duration pause_ = kFirstPause;
  fs::path program_;
  std::shared_ptr<Shim> shim_;
};

}  // namespace

bool MayPass(const absl::Status& status) {
  return absl::IsResourceExhausted(status) || absl::IsUnavailable(status);
}

absl::Status LoadTasks(TaskEnv& env) {
  ASSIGN_OR_RETURN(const BundleListing bundles, ListBundles(env.roots.state));
  ASSIGN_OR_RETURN(const BundleListing twins, ListBundles(env.roots.root));
  ClearRemains(env.shims.slow_steps(), bundles, twins, env.roots.root);
  for (const auto& [ns, id] : bundles.bundles) {
    ASSIGN_OR_RETURN(std::shared_ptr<Task> task, env.tasks.Reserve(ns, id, Task::Phase::kLoading));
    std::make_shared<LoadOperation>(env, std::move(task), LoadOperation::Create::kAskBundle,
                                    nullptr)
        ->Begin();
  }
  return absl::OkStatus();
}

void UndoCreate(TaskEnv& env, std::shared_ptr<Task> task, Then then) {
  std::make_shared<LoadOperation>(env, std::move(task), LoadOperation::Create::kFailed,
                                  std::move(then))
      ->Begin();
}

}  // namespace gantry::runtime
