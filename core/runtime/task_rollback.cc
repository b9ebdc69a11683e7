// SPDX-License-Identifier: Apache-2.0
// Undoing a create that got as far as a shim.
#include <algorithm>
#include <string_view>
#include <utility>

#include "core/log/log.h"
#include "core/runtime/task_end.h"
#include "proto/runtime/task/v3/shim.pb.h"

namespace gantry::runtime {
namespace {

namespace pb = ::containerd::task::v3;

// How long to wait before the first further attempt, and at most before a later one.
constexpr absl::Duration kFirstPause = absl::Milliseconds(500);
constexpr absl::Duration kLongestPause = absl::Minutes(1);

// Ends only when the shim has nothing of the task any more, or is gone itself. Until then the id
// stays taken and the bundle in place, where a restart finds it; whoever waits is told after the
// first attempt.
class RollBackOperation : public std::enable_shared_from_this<RollBackOperation> {
 public:
  RollBackOperation(TaskEnv& env, std::shared_ptr<Task> task, CreateOutcome outcome, Then then)
      : env_(env),
        task_(std::move(task)),
        shim_(task_->shim()),
        outcome_(outcome),
        then_(std::move(then)) {}

  void Begin() {
    forced_ = false;
    CallDelete();
  }

 private:
  void CallDelete() {
    pb::DeleteRequest request;
    request.set_id(task_->id());
    shim_->Call<pb::DeleteResponse>(
        "Delete", request, env_.In(env_.timeouts().cleanup),
        [self = shared_from_this()](const absl::StatusOr<pb::DeleteResponse>& deleted) {
          self->OnDeleted(deleted.status());
        });
  }

  void OnDeleted(const absl::Status& deleted) {
    if (IsClosed(deleted)) return LetGo(/*clean=*/true);
    if (absl::IsUnimplemented(deleted) && shim_->Downgrade()) return CallDelete();
    // Of a container that was never made, nothing is to be deleted.
    if (deleted.ok() || absl::IsNotFound(deleted)) {
      return End(/*clean=*/!deleted.ok() && outcome_ == CreateOutcome::kUnknown);
    }
    Report("shim did not undo a create", deleted);
    if (forced_)
      return env_.shims.AskToEnd(shim_, [self = shared_from_this()](auto) { self->Pause(); });
    // Once its program has ended the container, the shim itself may succeed.
    forced_ = true;
    CleanUpWithoutShim(env_, task_, shim_->program(),
                       [self = shared_from_this()](const auto&) { self->CallDelete(); });
  }

  void End(bool clean) {
    env_.shims.AskToEnd(shim_, [self = shared_from_this(), clean](const absl::Status& ended) {
      if (ended.ok()) return self->LetGo(clean);
      self->Report("shim did not shut down", ended);
      self->Pause();
    });
  }

  // The shim is gone, has been told to go, or serves others.
  void LetGo(bool clean) {
    env_.shims.Release(shim_);
    if (!clean) return Remove();
    CleanUpWithoutShim(env_, task_, shim_->program(),
                       [self = shared_from_this()](const auto&) { self->Remove(); });
  }

  void Remove() {
    RemoveBundle(env_, shim_->bundle(), [self = shared_from_this()] {
      self->env_.tasks.Erase(*self->task_);
      // It may have been seen for a moment.
      const absl::Status gone = NotFound("task {}", self->task_->id());
      self->task_->FailWait({}, gone);
      self->task_->FinishDelete(gone);
      self->Tell();
    });
  }

  void Pause() {
    Tell();
    const absl::Duration pause = pause_;
    pause_ = std::min(pause_ * 2, kLongestPause);
    env_.shims.loop().After(pause, [self = shared_from_this()] { self->Begin(); });
  }

  void Tell() {
    if (then_ != nullptr) std::exchange(then_, nullptr)();
  }

  void Report(std::string_view what, const absl::Status& status) {
    log::Warn(what, {{"ns", task_->ns()}, {"container", task_->id()}, {"error", status}});
  }

  TaskEnv& env_;
  const std::shared_ptr<Task> task_;
  const std::shared_ptr<Shim> shim_;
  const CreateOutcome outcome_;
  Then then_;            // null once called
  bool forced_ = false;  // whether the shim's program has cleaned up in this attempt
  absl::Duration pause_ = kFirstPause;
};

}  // namespace

void RollBack(TaskEnv& env, const std::shared_ptr<Task>& task, CreateOutcome outcome, Then then) {
  std::make_shared<RollBackOperation>(env, task, outcome, std::move(then))->Begin();
}

}  // namespace gantry::runtime
