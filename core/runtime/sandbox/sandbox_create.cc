// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/sandbox/sandbox_create.h"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/runtime/sandbox/sandbox_end.h"
#include "core/runtime/sandbox/sandbox_load.h"
#include "core/runtime/task_load.h"
#include "proto/runtime/sandbox/v1/sandbox.pb.h"

namespace gantry::runtime {
namespace {

namespace pb = ::containerd::runtime::sandbox::v1;
using Phase = SandboxShim::Phase;

// One create, from the reserved id to the answer. Each step starts the next.
class CreateSandboxOperation : public std::enable_shared_from_this<CreateSandboxOperation> {
 public:
  CreateSandboxOperation(SandboxEnv& env, std::shared_ptr<SandboxShim> reserved,
                         sandbox::Sandbox record, sandbox::CreateOptions options,
                         std::shared_ptr<Caller<Nothing>> caller)
      : env_(env),
        sandbox_(std::move(reserved)),
        record_(std::move(record)),
        options_(std::move(options)),
        caller_(std::move(caller)) {}

  void Begin() {
    env_.shims.steps().Run([self = shared_from_this()] { self->PrepareBundle(); });
  }

 private:
  void PrepareBundle() {
    if (!caller_->waiting()) return Abandon(Cancelled("caller left"));
    absl::StatusOr<std::filesystem::path> program =
        env_.shims.binaries().Resolve(record_.runtime_name);
    if (!program.ok()) return Abandon(Failed("start new shim for", program.status()));
    program_ = *std::move(program);
    std::optional<std::string_view> spec;
    if (record_.spec) spec = record_.spec->value();
    const absl::Status made =
        Bundle::Create(env_.roots, sandbox_->ns(), sandbox_->id(), spec).status();
    if (absl::IsAlreadyExists(made)) {
      return env_.shims.slow_steps().Run([self = shared_from_this()] { self->RemoveRemains(); });
    }
    if (!made.ok()) return Abandon(made);
    env_.shims.Start(sandbox_->bundle(), program_, record_.runtime_options, OnLost(),
                     [self = shared_from_this()](absl::StatusOr<std::shared_ptr<Shim>> shim) {
                       if (shim.ok()) return self->CallCreate(*std::move(shim));
                       self->CleanUp(self->Failed("start new shim for", shim.status()));
                     });
  }

  // No sandbox has the id, so what lies there could not be removed when its sandbox went.
  void RemoveRemains() {
    const absl::Status removed = sandbox_->bundle().Remove(/*may_unmount=*/true);
    if (!removed.ok()) return Abandon(Failed("remove what is left of an earlier", removed));
    Begin();
  }

  ShimManager::OnLost OnLost() {
    return [&env = env_, sandbox = std::weak_ptr<SandboxShim>(sandbox_), program = program_] {
      OnSandboxLost(env, sandbox, program);
    };
  }

  void CallCreate(std::shared_ptr<Shim> shim) {
    sandbox_->SetShim(shim);
    pb::CreateSandboxRequest request;
    request.set_sandbox_id(sandbox_->id());
    request.set_bundle_path(sandbox_->bundle().path().string());
    request.set_netns_path(options_.netns_path);
    if (options_.options) *request.mutable_options() = *options_.options;
    request.mutable_annotations()->insert(options_.annotations.begin(), options_.annotations.end());
    for (const mount::Mount& mount : options_.rootfs) {
      auto* out = request.add_rootfs();
      out->set_type(mount.type);
      out->set_source(mount.source);
      out->set_target(mount.target);
      out->mutable_options()->Assign(mount.options.begin(), mount.options.end());
    }
    CallSandbox<pb::CreateSandboxResponse>(
        *shim, "CreateSandbox", request, env_.In(env_.timeouts().runtime_command),
        [self = shared_from_this()](const absl::StatusOr<pb::CreateSandboxResponse>& created) {
          if (!created.ok()) return self->UndoWith(self->Failed("create", created.status()));
          self->env_.shims.steps().Run([self] { self->Finish(); });
        });
  }

  void Finish() {
    if (!caller_->waiting()) return UndoWith(Cancelled("caller left"));
    // From here on a restart keeps the sandbox.
    if (const absl::Status marked = sandbox_->bundle().MarkCreated(); !marked.ok()) {
      return UndoWith(marked);
    }
    sandbox_->Move(Phase::kCreating, Phase::kReady);
    const std::shared_ptr<Shim> shim = sandbox_->shim();
    // A connection that broke while the sandbox was being made was left to this operation.
    if (shim->connection().closed()) OnSandboxLost(env_, sandbox_, program_);
    if (!caller_->Answer(Nothing()) && sandbox_->Move(Phase::kReady, Phase::kEnding)) {
      UndoSandbox(env_, sandbox_, [] {});
    }
  }

  absl::Status Failed(std::string_view act, const absl::Status& why) const {
    return Annotate(why, "failed to " + std::string(act) + " sandbox " + sandbox_->id());
  }

  // Nothing but the id has been taken.
  void Abandon(const absl::Status& why) {
    env_.sandboxes.Erase(*sandbox_);
    caller_->Answer(why);
  }

  // There may be a shim, but none that we could speak to so far.
  void CleanUp(const absl::Status& why) {
    env_.shims.steps().Run([self = shared_from_this(), why] {
      auto answer = [self, why] { self->caller_->Answer(why); };
      const absl::Status noted = self->sandbox_->bundle().ReadEndpoint().status();
      if (!noted.ok() && !MayPass(noted)) {
        // A program that refused has left nothing to clean up; one that was not understood may.
        if (absl::IsUnknown(why)) return DiscardSandbox(self->env_, self->sandbox_, answer);
        if (!absl::IsDeadlineExceeded(why)) {
          return BurySandbox(self->env_, self->sandbox_, self->program_, answer);
        }
        self->caller_->Answer(why);  // has waited long enough
      }
      UndoSandboxCreate(self->env_, self->sandbox_, answer);
    });
  }

  void UndoWith(const absl::Status& why) {
    UndoSandbox(env_, sandbox_, [self = shared_from_this(), why] { self->caller_->Answer(why); });
  }

  SandboxEnv& env_;
  const std::shared_ptr<SandboxShim> sandbox_;
  const sandbox::Sandbox record_;
  const sandbox::CreateOptions options_;
  const std::shared_ptr<Caller<Nothing>> caller_;
  std::filesystem::path program_;
};

}  // namespace

void RunSandboxCreate(SandboxEnv& env, std::shared_ptr<SandboxShim> reserved,
                      sandbox::Sandbox record, sandbox::CreateOptions options,
                      std::shared_ptr<Caller<Nothing>> caller) {
  std::make_shared<CreateSandboxOperation>(env, std::move(reserved), std::move(record),
                                           std::move(options), std::move(caller))
      ->Begin();
}

}  // namespace gantry::runtime
