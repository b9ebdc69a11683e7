// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/sandbox/sandbox_load.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string_view>
#include <utility>

#include "core/log/log.h"
#include "core/runtime/bundle_remains.h"
#include "core/runtime/sandbox/sandbox_end.h"
#include "core/runtime/task_load.h"

namespace gantry::runtime {
namespace {

namespace fs = std::filesystem;
using Phase = SandboxShim::Phase;

constexpr absl::Duration kFirstPause = absl::Milliseconds(100);
constexpr absl::Duration kLongestPause = absl::Seconds(10);

class LoadSandboxOperation : public std::enable_shared_from_this<LoadSandboxOperation> {
 public:
  LoadSandboxOperation(SandboxEnv& env, std::shared_ptr<SandboxShim> sandbox,
                       absl::AnyInvocable<void()> then)
      : env_(env), sandbox_(std::move(sandbox)), then_(std::move(then)) {}

  // Blocks briefly.
  void Begin() {
    const Bundle& bundle = sandbox_->bundle();
    if (bundle.empty() || bundle.removing()) return Discard();
    const absl::StatusOr<fs::path> program = bundle.ReadShimBinary();
    if (MayPass(program.status())) return TryAgain(program.status());
    if (!program.ok()) {
      Report("no shim program for the bundle of a sandbox", program.status());
      return Discard();
    }
    program_ = *program;
    const absl::StatusOr<Endpoint> endpoint = bundle.ReadEndpoint();
    if (endpoint.ok()) return Connect(*endpoint);
    if (MayPass(endpoint.status())) return TryAgain(endpoint.status());
    Report("bundle of a sandbox's shim without address", endpoint.status());
    bundle.creating() ? FindUnnotedShim() : Bury();
  }

 private:
  void Connect(const Endpoint& endpoint) {
    absl::StatusOr<std::shared_ptr<Shim>> shim =
        env_.shims.Connect(sandbox_->bundle(), program_, {.endpoint = endpoint},
                           /*record=*/false, OnLost());
    if (!shim.ok()) {
      // Nobody listens any more; all else may pass.
      if (!ProvesDeath(shim.status())) return TryAgain(shim.status());
      Report("cannot reach the shim of a sandbox", shim.status());
      return Bury();
    }
    sandbox_->SetShim(*std::move(shim));
    // Whoever asked for it was never told of it.
    if (sandbox_->bundle().creating()) return Undo();
    sandbox_->Move(Phase::kLoading, Phase::kReady);
    if (sandbox_->shim()->connection().closed()) OnSandboxLost(env_, sandbox_, program_);
  }

  static bool ProvesDeath(const absl::Status& status) {
    return absl::IsUnavailable(status) || absl::IsNotFound(status) || IsClosed(status);
  }

  // The daemon ended while the shim started. Starting it again gives the address of the one that
  // runs, or one that can be told to end.
  void FindUnnotedShim() {
    env_.shims.Start(sandbox_->bundle(), program_, std::nullopt, OnLost(),
                     [self = shared_from_this()](absl::StatusOr<std::shared_ptr<Shim>> shim) {
                       if (!shim.ok()) return self->Bury();
                       self->sandbox_->SetShim(*std::move(shim));
                       self->Undo();
                     });
  }

  ShimManager::OnLost OnLost() {
    return [&env = env_, sandbox = std::weak_ptr<SandboxShim>(sandbox_), program = program_] {
      OnSandboxLost(env, sandbox, program);
    };
  }

  void TryAgain(const absl::Status& why) {
    Report("cannot take up a sandbox for now", why);
    Tell();
    env_.shims.loop().After(pause_, [self = shared_from_this()] {
      self->env_.shims.steps().Run([self] { self->Begin(); });
    });
    pause_ = std::min(pause_ * 2, kLongestPause);
  }

  void Undo() {
    sandbox_->Move(Phase::kLoading, Phase::kEnding);
    UndoSandbox(env_, sandbox_, [self = shared_from_this()] { self->Tell(); });
  }
  void Bury() {
    sandbox_->Move(Phase::kLoading, Phase::kEnding);
    BurySandbox(env_, sandbox_, program_, [self = shared_from_this()] { self->Tell(); });
  }
  void Discard() {
    sandbox_->Move(Phase::kLoading, Phase::kEnding);
    DiscardSandbox(env_, sandbox_, [self = shared_from_this()] { self->Tell(); });
  }
  void Tell() {
    if (then_ != nullptr) std::exchange(then_, nullptr)();
  }

  void Report(std::string_view what, const absl::Status& status) {
    log::Warn(what, {{"ns", sandbox_->ns()}, {"sandbox", sandbox_->id()}, {"error", status}});
  }

  SandboxEnv& env_;
  const std::shared_ptr<SandboxShim> sandbox_;
  absl::AnyInvocable<void()> then_;  // null once called
  absl::Duration pause_ = kFirstPause;
  fs::path program_;
};

}  // namespace

absl::Status LoadSandboxes(SandboxEnv& env) {
  ASSIGN_OR_RETURN(const BundleListing bundles, ListBundles(env.roots.state));
  ASSIGN_OR_RETURN(const BundleListing twins, ListBundles(env.roots.root));
  ClearRemains(env.shims.slow_steps(), bundles, twins, env.roots.root);
  for (const auto& [ns, id] : bundles.bundles) {
    ASSIGN_OR_RETURN(std::shared_ptr<SandboxShim> sandbox,
                     env.sandboxes.Reserve(Bundle(env.roots, ns, id), Phase::kLoading));
    std::make_shared<LoadSandboxOperation>(env, std::move(sandbox), nullptr)->Begin();
  }
  return absl::OkStatus();
}

void UndoSandboxCreate(SandboxEnv& env, std::shared_ptr<SandboxShim> sandbox,
                       absl::AnyInvocable<void()> then) {
  std::make_shared<LoadSandboxOperation>(env, std::move(sandbox), std::move(then))->Begin();
}

}  // namespace gantry::runtime
