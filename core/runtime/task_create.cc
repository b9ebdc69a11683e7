// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/task_create.h"

#include <string>
#include <string_view>
#include <utility>

#include "core/log/log.h"
#include "core/runtime/exit_watch.h"
#include "core/runtime/runtime_features.h"
#include "core/runtime/task_end.h"
#include "core/runtime/task_load.h"
#include "core/runtime/task_mounts.h"
#include "core/runtime/task_stats.h"
#include "core/ttrpc/rpc_status.h"
#include "proto/runtime/task/v3/shim.pb.h"
#include "proto/types/introspection.pb.h"

namespace gantry::runtime {
namespace {

namespace pb = ::containerd::task::v3;

constexpr std::string_view kFast = "gantry.shim.v1.Fast";
// How long a shim whose connection broke may take to end.
constexpr absl::Duration kEndPatience = absl::Seconds(1);

std::string Describe(const kernel::ExitStatus& status) {
  if (status.signal != 0) return fmt::format("killed by signal {}", status.signal);
  return fmt::format("exit status {}", status.code);
}

// One create, from the reserved id to the answer. Each step starts the next; `Abandon` and
// `RollBackWith` end it early.
class CreateOperation : public std::enable_shared_from_this<CreateOperation> {
 public:
  CreateOperation(TaskEnv& env, std::shared_ptr<Task> task, CreateOptions options,
                  std::shared_ptr<Caller<uint32_t>> caller)
      : env_(env),
        task_(std::move(task)),
        options_(std::move(options)),
        caller_(std::move(caller)) {}

  void Begin() {
    env_.shims.steps().Run([self = shared_from_this()] { self->PrepareBundle(); });
  }

 private:
  void PrepareBundle() {
    if (!caller_->waiting()) return Abandon(Cancelled("caller left"));
    absl::StatusOr<std::filesystem::path> program = env_.shims.binaries().Resolve(options_.runtime);
    if (!program.ok()) return Abandon(Annotate(program.status(), "failed to start shim"));
    program_ = *std::move(program);
    absl::StatusOr<std::optional<Endpoint>> shared = SandboxEndpoint();
    if (!shared.ok()) return Abandon(shared.status());
    std::optional<std::string_view> spec;
    if (options_.spec) spec = options_.spec->value();
    absl::StatusOr<Bundle> bundle = Bundle::Create(env_.roots, task_->ns(), task_->id(), spec);
    if (absl::IsAlreadyExists(bundle.status())) {
      return env_.shims.slow_steps().Run([self = shared_from_this()] { self->RemoveRemains(); });
    }
    if (!bundle.ok()) return Abandon(bundle.status());
    bundle_.emplace(*std::move(bundle));
    shared_ = *std::move(shared);
    checkpoint_ = options_.checkpoint;
    if (!options_.fetch_checkpoint) return FindShim();
    env_.shims.slow_steps().Run([self = shared_from_this()] { self->FetchCheckpoint(); });
  }

  // No task has the id, so what lies there could not be removed when its task went.
  void RemoveRemains() {
    const absl::Status removed =
        Bundle(env_.roots, task_->ns(), task_->id()).Remove(/*may_unmount=*/true);
    if (!removed.ok()) {
      const std::string why(removed.message().data(), removed.message().size());
      return Abandon(FailedPrecondition("what an earlier task {} left cannot be removed: {}",
                                        task_->id(), why));
    }
    env_.shims.steps().Run([self = shared_from_this()] { self->PrepareBundle(); });
  }

  void FetchCheckpoint() {
    checkpoint_ = bundle_->work() / "checkpoint";
    std::error_code error;
    std::filesystem::create_directory(checkpoint_, error);
    if (error) return AbandonBundle(FromErrno(error.value(), "make " + checkpoint_.string()));
    const absl::Status fetched = options_.fetch_checkpoint(checkpoint_);
    if (!fetched.ok()) return AbandonBundle(Annotate(fetched, "fetch the checkpoint"));
    env_.shims.steps().Run([self = shared_from_this()] { self->FindShim(); });
  }

  void FindShim() {
    if (shared_) return JoinSandbox(*shared_);
    env_.shims.Start(*bundle_, program_, Options(), OnLost(),
                     [self = shared_from_this()](absl::StatusOr<std::shared_ptr<Shim>> shim) {
                       if (shim.ok()) return self->OnShim(*std::move(shim));
                       self->CleanUp(Annotate(shim.status(), "failed to start shim"));
                     });
  }

  // Where the sandbox's shim serves this container too; nothing if it is to be started for it.
  absl::StatusOr<std::optional<Endpoint>> SandboxEndpoint() {
    if (options_.sandbox_id.empty() || options_.sandbox_id == task_->id()) return std::nullopt;
    const Context ctx{.ns = task_->ns()};
    const auto record = env_.sandboxes.Get(ctx, options_.sandbox_id);
    if (absl::IsNotFound(record.status())) {
      log::Warn(
          "sandbox has no record, starting a shim for its container",
          {{"ns", task_->ns()}, {"container", task_->id()}, {"sandbox", options_.sandbox_id}});
      return std::nullopt;
    }
    RETURN_IF_ERROR(record.status());
    std::optional<Endpoint> endpoint;
    if (!options_.task_api_address.empty()) {
      ASSIGN_OR_RETURN(endpoint,
                       ParseTaskApiAddress(options_.task_api_address, options_.task_api_version));
    } else {
      ASSIGN_OR_RETURN(endpoint, ShimOfSandbox());
    }
    // Older shims must be told of each container through their program.
    if (endpoint->version < kNewestShimVersion) return std::nullopt;
    return endpoint;
  }

  absl::StatusOr<Endpoint> ShimOfSandbox() {
    const std::shared_ptr<Task> sandbox = env_.tasks.Find(task_->ns(), options_.sandbox_id);
    if (sandbox != nullptr) {
      const Task::Phase phase = sandbox->phase();
      if (phase == Task::Phase::kDeleting || phase == Task::Phase::kDead) {
        return FailedPrecondition("sandbox {} is being removed", options_.sandbox_id);
      }
      if (const std::shared_ptr<Shim> shim = sandbox->shim()) {
        claims_ = shim->mounts();
        return shim->connection().endpoint();
      }
    }
    // It has no task of its own, or that is still loading.
    absl::StatusOr<Endpoint> noted = EndpointIn(env_.roots.state);
    if (absl::IsNotFound(noted.status()) && !env_.sandbox_bundles.empty()) {
      noted = EndpointIn(env_.sandbox_bundles);
    }
    if (absl::IsNotFound(noted.status())) {
      return NotFound("shim of sandbox {}", options_.sandbox_id);
    }
    return noted;
  }

  absl::StatusOr<Endpoint> EndpointIn(const std::filesystem::path& bundles) const {
    return Bundle({.state = bundles, .root = {}}, task_->ns(), options_.sandbox_id).ReadEndpoint();
  }

  void JoinSandbox(const Endpoint& endpoint) {
    absl::Status noted = bundle_->WriteSandbox(options_.sandbox_id);
    if (noted.ok()) noted = bundle_->WriteShimBinary(program_);
    if (!noted.ok()) return AbandonBundle(noted);
    absl::StatusOr<std::shared_ptr<Shim>> shim =
        env_.shims.Connect(*bundle_, program_, {.endpoint = endpoint, .mounts = claims_},
                           /*record=*/true, OnLost());
    // Neither was a shim started, nor told of the container.
    if (!shim.ok()) return AbandonBundle(Annotate(shim.status(), "failed to start shim"));
    OnShim(*std::move(shim));
  }

  ShimManager::OnLost OnLost() {
    return [&env = env_, task = std::weak_ptr<Task>(task_), program = program_] {
      OnShimLost(env, task, program);
    };
  }

  const std::optional<google::protobuf::Any>& Options() const {
    const bool own = options_.task_options && !options_.task_options->value().empty();
    return own ? options_.task_options : options_.runtime_options;
  }

  void OnShim(std::shared_ptr<Shim> shim) {
    shim_ = std::move(shim);
    task_->SetShim(shim_);
    // Only now it is known what the shim mounts itself.
    ActivateRootfs(env_, *bundle_, options_.rootfs, shim_->mounts(),
                   [self = shared_from_this()](absl::StatusOr<mount::Mounts> rootfs) {
                     if (!rootfs.ok()) return self->RollBackWith(rootfs.status());
                     self->rootfs_ = *std::move(rootfs);
                     self->CheckFeatures();
                   });
  }

  void CheckFeatures() {
    if (!options_.spec || !UsesIdmappedMounts(options_.spec->value())) return CallCreate();
    env_.shims.launcher().Info(
        program_, Options(), env_.timeouts().quick,
        [self = shared_from_this()](const absl::StatusOr<::containerd::types::RuntimeInfo>& info) {
          const absl::Status supported =
              info.ok() ? CheckIdmapSupport(*info) : Annotate(info.status(), "runtime info");
          if (!supported.ok()) return self->RollBackWith(supported);
          self->CallCreate();
        });
  }

  pb::CreateTaskRequest Request() const {
    pb::CreateTaskRequest request;
    request.set_id(task_->id());
    request.set_bundle(bundle_->path().string());
    request.set_terminal(options_.stdio.terminal);
    request.set_stdin(options_.stdio.in);
    request.set_stdout(options_.stdio.out);
    request.set_stderr(options_.stdio.err);
    request.set_checkpoint(checkpoint_.string());
    if (Options()) *request.mutable_options() = *Options();
    for (const mount::Mount& mount : rootfs_) {
      auto* out = request.add_rootfs();
      out->set_type(mount.type);
      out->set_source(mount.source);
      out->set_target(mount.target);
      out->mutable_options()->Assign(mount.options.begin(), mount.options.end());
    }
    return request;
  }

  bool StartsIt() const { return options_.start || options_.prepare_restored; }

  void CallCreate() {
    const bool restores = !checkpoint_.empty();
    if (options_.start && !restores && shim_->connection().serves_fast()) return CallCreateStart();
    shim_->Call<pb::CreateTaskResponse>(
        "Create", Request(), env_.In(env_.timeouts().runtime_command),
        [self = shared_from_this()](absl::StatusOr<pb::CreateTaskResponse> response) {
          self->OnCreated(std::move(response));
        });
  }

  void CallCreateStart() {
    shim_->CallService<pb::StartResponse>(
        kFast, "CreateStart", Request(), env_.In(2 * env_.timeouts().runtime_command),
        [self = shared_from_this()](const absl::StatusOr<pb::StartResponse>& response) {
          if (LacksService(response.status())) {
            self->shim_->connection().SetFastMissing();
            return self->CallCreate();
          }
          if (!response.ok()) return self->Fail(response.status(), "failed to run shim task");
          self->OnStarted(response->pid());
        });
  }

  void OnCreated(absl::StatusOr<pb::CreateTaskResponse> response) {
    if (response.ok()) {
      pid_ = response->pid();
      if (options_.prepare_restored) {
        return env_.shims.slow_steps().Run([self = shared_from_this()] { self->StartRestored(); });
      }
      if (options_.start) return CallStart(env_.timeouts().runtime_command);
      return env_.shims.steps().Run([self = shared_from_this()] { self->Finish(); });
    }
    if (absl::IsUnimplemented(response.status()) && shim_->Downgrade()) return CallCreate();
    Fail(response.status(), "failed to create shim task");
  }

  void Fail(const absl::Status& why, std::string_view what) {
    const absl::Status failed = Annotate(why, what);
    if (!IsClosed(why) || shim_->process() == nullptr) return RollBackWith(failed);
    shim_->process()->WhenEnded(kEndPatience, [self = shared_from_this(), failed](const auto& end) {
      self->RollBackWith(end ? Annotate(failed, "shim ended: " + Describe(*end)) : failed);
    });
  }

  void StartRestored() {
    const absl::Status prepared = options_.prepare_restored(bundle_->rootfs());
    if (!prepared.ok()) return RollBackWith(Annotate(prepared, "prepare the root file system"));
    CallStart(env_.timeouts().checkpoint);
  }

  void CallStart(absl::Duration budget) {
    pb::StartRequest request;
    request.set_id(task_->id());
    shim_->Call<pb::StartResponse>(
        "Start", request, env_.In(checkpoint_.empty() ? budget : env_.timeouts().checkpoint),
        [self = shared_from_this()](const absl::StatusOr<pb::StartResponse>& response) {
          if (response.ok()) return self->OnStarted(response->pid());
          if (self->options_.start) return self->Fail(response.status(), "failed to run shim task");
          self->RollBackWith(response.status());
        });
  }

  void OnStarted(uint32_t pid) {
    pid_ = pid;
    task_->SetStarted({}, pid_);
    env_.shims.steps().Run([self = shared_from_this()] { self->Finish(); });
  }

  void Finish() {
    if (!caller_->waiting()) return RollBackWith(Cancelled("caller left"));
    task_->SetCreated(pid_, options_.stdio);
    // From here on a restart keeps the task.
    if (const absl::Status marked = bundle_->MarkCreated(); !marked.ok()) {
      return RollBackWith(marked);
    }
    if (!task_->BecomeReady())
      return RollBackWith(Annotate(ttrpc::ClosedError(), "shim went away"));
    // A connection that broke while the task was being made was left to this operation.
    if (shim_->connection().closed()) OnShimLost(env_, task_, program_);
    // One that runs may have gone to another cgroup already.
    if (!StartsIt()) LocateCgroup(*task_);
    if (task_->ArmWait({})) WatchExit(env_, task_, {});
    if (!caller_->Answer(pid_) && task_->Move(Task::Phase::kReady, Task::Phase::kDeleting)) {
      RollBack(env_, task_, CreateOutcome::kKnown, [] {});
    }
  }

  // Nothing but the id has been taken.
  void Abandon(const absl::Status& why) {
    env_.tasks.Erase(*task_);
    caller_->Answer(why);
  }

  void AbandonBundle(const absl::Status& why) {
    RemoveBundle(env_, *bundle_, [self = shared_from_this(), why] { self->Abandon(why); });
  }

  // There may be a shim, but none that we could speak to.
  void CleanUp(const absl::Status& why) {
    env_.shims.steps().Run([self = shared_from_this(), why] {
      const absl::Status noted = self->bundle_->ReadEndpoint().status();
      if (!noted.ok() && !MayPass(noted)) {
        // A program that refused has left nothing to clean up; one that was not understood may.
        if (absl::IsUnknown(why)) return self->AbandonBundle(why);
        if (!absl::IsDeadlineExceeded(why)) {
          return CleanUpWithoutShim(self->env_, self->task_, self->program_,
                                    [self, why](const auto&) { self->AbandonBundle(why); });
        }
        self->caller_->Answer(why);  // has waited long enough
      }
      UndoCreate(self->env_, self->task_, [self, why] { self->caller_->Answer(why); });
    });
  }

  void RollBackWith(const absl::Status& why) {
    const auto outcome =
        absl::IsDeadlineExceeded(why) ? CreateOutcome::kUnknown : CreateOutcome::kKnown;
    RollBack(env_, task_, outcome,
             [self = shared_from_this(), why] { self->caller_->Answer(why); });
  }

  TaskEnv& env_;
  const std::shared_ptr<Task> task_;
  const CreateOptions options_;
  const std::shared_ptr<Caller<uint32_t>> caller_;
  std::filesystem::path program_;
  std::optional<Bundle> bundle_;
  std::optional<Endpoint> shared_;     // of a sandbox's shim
  std::filesystem::path checkpoint_;   // directory to restore from
  std::optional<MountClaims> claims_;  // of a sandbox's shim
  std::shared_ptr<Shim> shim_;
  mount::Mounts rootfs_;  // what the shim is to mount
  uint32_t pid_ = 0;
};

}  // namespace

void RunCreate(TaskEnv& env, std::shared_ptr<Task> task, CreateOptions options,
               std::shared_ptr<Caller<uint32_t>> caller) {
  std::make_shared<CreateOperation>(env, std::move(task), std::move(options), std::move(caller))
      ->Begin();
}

}  // namespace gantry::runtime
