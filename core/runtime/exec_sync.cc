// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/exec_sync.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/mutex.h"
#include "core/kernel/file.h"
#include "core/runtime/convert.h"
#include "core/runtime/exec_by_steps.h"
#include "proto/gantry/shim/v1/fast.pb.h"

namespace gantry::runtime {
namespace {

namespace pb = ::gantry::shim::v1;
using google::protobuf::Empty;

constexpr std::string_view kFast = "gantry.shim.v1.Fast";
// For all that a shim does beside waiting.
constexpr absl::Duration kMargin = absl::Seconds(30);

int64_t Nanos(absl::Duration duration) {
  // Zero would mean that there is no limit.
  return duration == absl::InfiniteDuration()
             ? 0
             : std::max<int64_t>(absl::ToInt64Nanoseconds(duration), 1);
}

ExecSyncResult FromProto(pb::ExecSyncResponse response) {
  return {
      .out = std::move(*response.mutable_stdout()),
      .err = std::move(*response.mutable_stderr()),
      .out_truncated = response.stdout_truncated(),
      .err_truncated = response.stderr_truncated(),
      .exit = {.status = response.exit_status(), .exited_at = TimeFromProto(response.exited_at())},
      .timed_out = response.timed_out(),
      .output_open = response.output_open()};
}

class Run : public std::enable_shared_from_this<Run> {
 public:
  Run(TaskEnv& env, TaskManager& tasks, const Context& ctx, std::shared_ptr<Task> task,
      ExecSyncOptions options, std::shared_ptr<Caller<ExecSyncResult>> caller)
      : env_(env),
        tasks_(tasks),
        deadline_(ctx.deadline),
        task_(std::move(task)),
        options_(std::move(options)),
        caller_(std::move(caller)) {}

  void Begin(const Context& ctx) {
    if (task_->shim()->connection().serves_fast()) {
      CallFast();
    } else {
      TakeSteps();
    }
    Follow(ctx);
  }

 private:
  using OnStop = std::stop_callback<std::function<void()>>;

  void CallFast() {
    pb::ExecSyncRequest request;
    request.set_id(task_->id());
    request.set_process(options_.spec.value());
    request.set_timeout_nano(Nanos(options_.timeout));
    request.set_drain_nano(Nanos(options_.drain_timeout));
    request.set_max_stdout_bytes(options_.max_out_bytes);
    request.set_max_stderr_bytes(options_.max_err_bytes);
    request.set_token(token_);
    const absl::Time latest = env_.In(options_.timeout + options_.drain_timeout + kMargin);
    SetStop([self = shared_from_this()] { self->CancelFast(); });
    task_->shim()->CallService<pb::ExecSyncResponse>(
        kFast, "ExecSync", request, std::min(deadline_, latest),
        [self = shared_from_this()](absl::StatusOr<pb::ExecSyncResponse> response) {
          if (LacksService(response.status())) {
            self->task_->shim()->connection().SetFastMissing();
            return self->TakeSteps();
          }
          if (!response.ok()) return self->Finish(response.status());
          self->Finish(FromProto(*std::move(response)));
        },
        /*waits=*/true);
  }

  void CancelFast() {
    pb::CancelExecRequest request;
    request.set_id(task_->id());
    request.set_token(token_);
    // It may have ended by itself meanwhile.
    task_->shim()->CallService<Empty>(kFast, "CancelExec", request, env_.In(env_.timeouts().quick),
                                      [](const absl::StatusOr<Empty>&) {});
  }

  void TakeSteps() {
    options_.timeout = std::min(options_.timeout, deadline_ - absl::Now());
    SetStop(ExecBySteps(env_, tasks_, task_, std::move(options_),
                        [self = shared_from_this()](absl::StatusOr<ExecSyncResult> result) {
                          self->Finish(std::move(result));
                        }));
  }

  // What ends the process early from now on.
  void SetStop(std::function<void()> stop) {
    {
      base::MutexLock lock(mutex_);
      if (!stopped_) {
        stop_ = std::move(stop);
        return;
      }
    }
    stop();
  }

  void Stop() {
    std::function<void()> stop;
    {
      base::MutexLock lock(mutex_);
      stopped_ = true;
      stop = std::exchange(stop_, nullptr);
    }
    if (stop != nullptr) stop();
  }

  void Follow(const Context& ctx) {
    if (!ctx.stop.stop_possible()) return;
    // May call at once, on this thread.
    auto on_stop = std::make_unique<OnStop>(ctx.stop, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->Stop();
    });
    base::MutexLock lock(mutex_);
    if (!finished_) on_stop_ = std::move(on_stop);
  }

  void Finish(absl::StatusOr<ExecSyncResult> result) {
    std::unique_ptr<OnStop> on_stop;  // destroyed outside the lock: that waits for a running call
    std::function<void()> stop;       // holds this
    bool stopped = false;
    {
      base::MutexLock lock(mutex_);
      finished_ = true;
      stopped = stopped_;
      on_stop = std::move(on_stop_);
      stop = std::exchange(stop_, nullptr);
    }
    // What is known of a process that was killed since nobody waits is no result. The shim, which
    // knows the deadline too, may be the first to see it pass.
    if (result.ok() && result->timed_out && absl::Now() >= deadline_) {
      result = absl::DeadlineExceededError("context deadline exceeded");
    }
    if (stopped) result = Cancelled("exec in container {}: the caller has left", task_->id());
    caller_->Answer(std::move(result));
  }

  TaskEnv& env_;
  TaskManager& tasks_;
  const absl::Time deadline_;
  const std::shared_ptr<Task> task_;
  ExecSyncOptions options_;
  const std::shared_ptr<Caller<ExecSyncResult>> caller_;
  const std::string token_ = kernel::RandomHex(16);
  base::Mutex mutex_;
  std::function<void()> stop_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<OnStop> on_stop_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

void RunExecSync(TaskEnv& env, TaskManager& tasks, const Context& ctx,
                 const std::shared_ptr<Task>& task, ExecSyncOptions options,
                 std::shared_ptr<Caller<ExecSyncResult>> caller) {
  if (task->Init().status == Status::kStopped) {
    caller->Answer(FailedPrecondition("container {} init process is not running", task->id()));
    return;
  }
  std::make_shared<Run>(env, tasks, ctx, task, std::move(options), std::move(caller))->Begin(ctx);
}

}  // namespace gantry::runtime
