// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/sandbox/sandbox_end.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/log/log.h"
#include "core/runtime/exit.h"
#include "proto/runtime/sandbox/v1/sandbox.pb.h"

namespace gantry::runtime {
namespace {

namespace pb = ::containerd::runtime::sandbox::v1;
using Phase = SandboxShim::Phase;

// How long to wait before the first further attempt, and at most before a later one.
constexpr absl::Duration kFirstPause = absl::Milliseconds(500);
constexpr absl::Duration kLongestPause = absl::Minutes(1);

void Report(const SandboxShim& sandbox, std::string_view what, const absl::Status& status) {
  log::Warn(what, {{"ns", sandbox.ns()}, {"sandbox", sandbox.id()}, {"error", status}});
}

// One attempt to end the shim. `then` gets the reason why it goes on; with OK, bundle and id are
// free.
void TryToEnd(SandboxEnv& env, const std::shared_ptr<SandboxShim>& sandbox, absl::Duration budget,
              absl::AnyInvocable<void(absl::Status)> then) {
  const std::shared_ptr<Shim> shim = sandbox->shim();
  auto let_go = [&env, sandbox, shim](absl::AnyInvocable<void(absl::Status)> done) {
    env.shims.Release(shim);
    DiscardSandbox(env, sandbox, [done = std::move(done)]() mutable { done(absl::OkStatus()); });
  };
  auto on_answer = [&env, sandbox, shim, let_go, then = std::move(then)](
                       const absl::StatusOr<pb::ShutdownSandboxResponse>& answer) mutable {
    if (answer.ok()) return let_go(std::move(then));
    if (IsClosed(answer.status())) {
      env.shims.Release(shim);
      return BurySandbox(env, sandbox, shim->program(),
                         [then = std::move(then)]() mutable { then(absl::OkStatus()); });
    }
    // One that has no such sandbox, or does not know what that is, ends as others do.
    if (!absl::IsNotFound(answer.status()) && !absl::IsUnimplemented(answer.status())) {
      return then(answer.status());
    }
    env.shims.AskToEnd(shim, [let_go, then = std::move(then)](const absl::Status& ended) mutable {
      if (!ended.ok()) return then(ended);
      let_go(std::move(then));
    });
  };
  pb::ShutdownSandboxRequest request;
  request.set_sandbox_id(sandbox->id());
  CallSandbox<pb::ShutdownSandboxResponse>(*shim, "ShutdownSandbox", request, env.In(budget),
                                           std::move(on_answer));
}

class UndoOperation : public std::enable_shared_from_this<UndoOperation> {
 public:
  UndoOperation(SandboxEnv& env, std::shared_ptr<SandboxShim> sandbox,
                absl::AnyInvocable<void()> then)
      : env_(env), sandbox_(std::move(sandbox)), then_(std::move(then)) {}

  void Begin() {
    TryToEnd(env_, sandbox_, env_.timeouts().cleanup,
             [self = shared_from_this()](const absl::Status& ended) { self->OnTried(ended); });
  }

 private:
  void OnTried(const absl::Status& ended) {
    if (!ended.ok()) {
      Report(*sandbox_, "shim did not undo a sandbox", ended);
      env_.shims.loop().After(pause_, [self = shared_from_this()] { self->Begin(); });
      pause_ = std::min(pause_ * 2, kLongestPause);
    }
    if (then_ != nullptr) std::exchange(then_, nullptr)();
  }

  SandboxEnv& env_;
  const std::shared_ptr<SandboxShim> sandbox_;
  absl::AnyInvocable<void()> then_;  // null once called
  absl::Duration pause_ = kFirstPause;
};

}  // namespace

void ShutDownSandbox(SandboxEnv& env, const std::shared_ptr<SandboxShim>& sandbox,
                     absl::AnyInvocable<void(absl::Status)> then) {
  TryToEnd(env, sandbox, env.timeouts().runtime_signal,
           [&env, sandbox, then = std::move(then)](const absl::Status& ended) mutable {
             if (ended.ok()) return then(absl::OkStatus());
             sandbox->Move(Phase::kEnding, Phase::kReady);
             // A connection that broke while the sandbox was ending was left to this operation.
             const std::shared_ptr<Shim> shim = sandbox->shim();
             if (shim->connection().closed()) OnSandboxLost(env, sandbox, shim->program());
             then(Annotate(ended, "failed to shutdown sandbox " + sandbox->id()));
           });
}

void UndoSandbox(SandboxEnv& env, const std::shared_ptr<SandboxShim>& sandbox,
                 absl::AnyInvocable<void()> then) {
  std::make_shared<UndoOperation>(env, sandbox, std::move(then))->Begin();
}

void DiscardSandbox(SandboxEnv& env, const std::shared_ptr<SandboxShim>& sandbox,
                    absl::AnyInvocable<void()> then) {
  env.shims.slow_steps().Run([&env, sandbox, then = std::move(then)]() mutable {
    const absl::Status removed = sandbox->bundle().Remove(/*may_unmount=*/true);
    if (!removed.ok()) Report(*sandbox, "cannot remove the bundle of a sandbox", removed);
    env.sandboxes.Erase(*sandbox);
    then();
  });
}

void BurySandbox(SandboxEnv& env, const std::shared_ptr<SandboxShim>& sandbox,
                 const std::filesystem::path& program, absl::AnyInvocable<void()> then) {
  log::Info("cleaning up after a lost shim", {{"ns", sandbox->ns()}, {"sandbox", sandbox->id()}});
  env.shims.launcher().Delete(
      sandbox->bundle(), program, env.timeouts().cleanup,
      [&env, sandbox, then = std::move(then)](const absl::StatusOr<Exit>& cleaned) mutable {
        if (!cleaned.ok()) Report(*sandbox, "cannot clean up after a shim", cleaned.status());
        DiscardSandbox(env, sandbox, std::move(then));
      });
}

void OnSandboxLost(SandboxEnv& env, const std::weak_ptr<SandboxShim>& lost,
                   const std::filesystem::path& program) {
  const std::shared_ptr<SandboxShim> sandbox = lost.lock();
  // One that is being made or ended sees its call fail, and that operation cleans up.
  if (sandbox == nullptr || !sandbox->Move(Phase::kReady, Phase::kEnding)) return;
  BurySandbox(env, sandbox, program, [] {});
}

}  // namespace gantry::runtime
