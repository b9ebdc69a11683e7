// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/task_manager.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/base/identifiers.h"
#include "core/runtime/convert.h"
#include "core/runtime/exec_sync.h"
#include "core/runtime/exit_watch.h"
#include "core/runtime/output_wait.h"
#include "core/runtime/task_create.h"
#include "core/runtime/task_delete.h"
#include "core/runtime/task_end.h"
#include "core/runtime/task_events.h"
#include "core/runtime/task_load.h"
#include "proto/runtime/task/v3/shim.pb.h"
#include "proto/types/introspection.pb.h"

namespace gantry::runtime {
namespace {

namespace pb = ::containerd::task::v3;
using google::protobuf::Empty;

absl::Status TaskNotFound(std::string_view id) { return NotFound("task {} not found", id); }

std::string_view Text(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

// Stock shims tell of some missing processes by the text alone, under the code for "unknown".
bool SaysNotFound(const absl::Status& status) {
  return absl::IsUnknown(status) && Text(status).ends_with(": not found");
}

absl::Status OpenToPassThrough(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return FromErrno(error.value(), "make " + folder.string());
  // Containers with shifted owners go through here to their root file systems.
  if (::chmod(folder.c_str(), 0711) != 0) return FromErrno(errno, "chmod " + folder.string());
  return absl::OkStatus();
}

bool Visible(const Task& task) {
  const Task::Phase phase = task.phase();
  return phase == Task::Phase::kReady || phase == Task::Phase::kLoading;
}

// The earlier of the caller's deadline and our own.
absl::Time Within(const Context& ctx, absl::Duration budget) {
  return std::min(ctx.deadline, absl::Now() + budget);
}

template <typename Request>
std::unique_ptr<Request> RequestFor(const std::string& id) {
  auto request = std::make_unique<Request>();
  request->set_id(id);
  return request;
}

template <typename Request>
std::unique_ptr<Request> RequestFor(const std::string& id, const std::string& exec_id) {
  auto request = RequestFor<Request>(id);
  request->set_exec_id(exec_id);
  return request;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TaskManager>> TaskManager::Create(
    ShimManager& shims, metadata::Metadata& metadata, events::Exchange& events, BundleRoots roots,
    mount::MountManager* mounts, std::filesystem::path sandboxes) {
  RETURN_IF_ERROR(OpenToPassThrough(roots.state));
  RETURN_IF_ERROR(OpenToPassThrough(roots.root));
  std::unique_ptr<TaskManager> manager(new TaskManager(std::unique_ptr<TaskEnv>(
      new TaskEnv{.shims = shims,
                  .containers = containers::ContainerStore(metadata, events),
                  .sandboxes = sandbox::SandboxStore(metadata),
                  .events = events,
                  .roots = std::move(roots),
                  .tasks = {},
                  .mounts = mounts,
                  .sandbox_bundles = std::move(sandboxes)})));
  events.SetGate([env = manager->env_.get()](const events::Envelope& envelope) {
    return AdmitEvent(*env, envelope);
  });
  RETURN_IF_ERROR(LoadTasks(*manager->env_));
  return manager;
}

TaskManager::~TaskManager() {
  env_->events.SetGate(nullptr);
  env_->shims.Stop();
}

template <typename T>
void TaskManager::WithTask(const Context& ctx, const std::string& id, Done<T> done, Run<T> run) {
  auto caller = Caller<T>::Make(env_->shims.loop(), ctx, std::move(done));
  const std::shared_ptr<Task> task = env_->tasks.Find(ctx.ns, id);
  if (task == nullptr || !Visible(*task)) {
    caller->Answer(TaskNotFound(id));
    return;
  }
  if (task->phase() == Task::Phase::kLoading) {
    env_->shims.loop().After(env_->timeouts().load, [weak = std::weak_ptr(caller), id] {
      if (const auto waiting = weak.lock()) {
        waiting->Answer(Unavailable("shim of task {} does not answer since the restart", id));
      }
    });
  }
  task->WhenLoaded([caller] { return caller->waiting(); },
                   [task, caller, id, run = std::move(run)]() mutable {
                     if (!caller->waiting()) return;
                     if (task->phase() != Task::Phase::kReady) {
                       caller->Answer(TaskNotFound(id));
                       return;
                     }
                     run(task, std::move(caller));
                   });
}

void TaskManager::CreateTask(const Context& ctx, std::string id, CreateOptions options,
                             Done<uint32_t> done) {
  auto caller = Caller<uint32_t>::Make(env_->shims.loop(), ctx, std::move(done));
  absl::StatusOr<std::shared_ptr<Task>> task =
      env_->tasks.Reserve(ctx.ns, id, Task::Phase::kCreating);
  if (!task.ok()) {
    caller->Answer(task.status());
    return;
  }
  env_->cgroup_changes.Expect();
  RunCreate(*env_, *std::move(task), std::move(options), std::move(caller));
}

void TaskManager::Start(const Context& ctx, const std::string& id, const std::string& exec_id,
                        Done<uint32_t> done) {
  WithTask<uint32_t>(
      ctx, id, std::move(done),
      [this, exec_id](const std::shared_ptr<Task>& task, std::shared_ptr<Caller<uint32_t>> caller) {
        task->shim()->Call<pb::StartResponse>(
            "Start", *RequestFor<pb::StartRequest>(task->id(), exec_id),
            env_->In(env_->timeouts().runtime_command),
            [task, exec_id, caller](const absl::StatusOr<pb::StartResponse>& response) {
              if (!response.ok()) {
                caller->Answer(response.status());
                return;
              }
              task->SetStarted(exec_id, response->pid());
              caller->Answer(response->pid());
            });
      });
}

void TaskManager::Delete(const Context& ctx, const std::string& id, Done<Exit> done) {
  WithTask<Exit>(ctx, id, std::move(done),
                 [this](const std::shared_ptr<Task>& task, std::shared_ptr<Caller<Exit>> caller) {
                   if (task->JoinDelete(std::move(caller))) RunDelete(*env_, task);
                 });
}

void TaskManager::DeleteExec(const Context& ctx, const std::string& id, const std::string& exec_id,
                             Done<Exit> done) {
  if (exec_id.empty()) return done(InvalidArgument("exec id cannot be empty"));
  WithTask<Exit>(
      ctx, id, std::move(done),
      [this, exec_id](const std::shared_ptr<Task>& task, std::shared_ptr<Caller<Exit>> caller) {
        task->shim()->Call<pb::DeleteResponse>(
            "Delete", *RequestFor<pb::DeleteRequest>(task->id(), exec_id),
            env_->In(env_->timeouts().runtime_command),
            [task, exec_id, caller](const absl::StatusOr<pb::DeleteResponse>& response) {
              if (!response.ok()) {
                caller->Answer(response.status());
                return;
              }
              const Exit exit = FromProto(*response);
              task->SetExit(exec_id, exit);  // answers who waits for an exec that never ran
              task->RemoveExec(exec_id);
              caller->Answer(exit);
            });
      });
}

void TaskManager::Exec(const Context& ctx, const std::string& id, ExecOptions options,
                       Done<Nothing> done) {
  if (options.exec_id.empty()) return done(InvalidArgument("exec id cannot be empty"));
  if (const absl::Status valid = ValidateIdentifier(options.exec_id); !valid.ok()) {
    return done(Annotate(valid, "invalid exec id"));
  }
  env_->cgroup_changes.Expect();
  auto request = RequestFor<pb::ExecProcessRequest>(id, options.exec_id);
  request->set_terminal(options.stdio.terminal);
  request->set_stdin(options.stdio.in);
  request->set_stdout(options.stdio.out);
  request->set_stderr(options.stdio.err);
  *request->mutable_spec() = std::move(options.spec);
  Change(ctx, id, "Exec", std::move(request), env_->timeouts().quick, std::move(done),
         [exec_id = options.exec_id, stdio = options.stdio](Task& task) {
           task.AddExec(exec_id, stdio);
         });
}

void TaskManager::ExecSync(const Context& ctx, const std::string& id, ExecSyncOptions options,
                           Done<ExecSyncResult> done) {
  env_->cgroup_changes.Expect();
  WithTask<ExecSyncResult>(ctx, id, std::move(done),
                           [this, ctx, options = std::move(options)](
                               const std::shared_ptr<Task>& task,
                               std::shared_ptr<Caller<ExecSyncResult>> caller) mutable {
                             RunExecSync(*env_, *this, ctx, task, std::move(options),
                                         std::move(caller));
                           });
}

void TaskManager::Get(const Context& ctx, const std::string& id, const std::string& exec_id,
                      Done<ProcessState> done) {
  WithTask<ProcessState>(
      ctx, id, std::move(done),
      [this, ctx, exec_id](const std::shared_ptr<Task>& task,
                           std::shared_ptr<Caller<ProcessState>> caller) {
        const std::optional<ProcessState> known = task->Find(exec_id);
        // Of an init process everything is told us; of an exec, the end may have been missed. One
        // that could not be started has an end for those who wait, but is not stopped.
        const bool ended =
            known && known->status == Status::kStopped && (exec_id.empty() || known->pid != 0);
        const bool sure = ended || (known && exec_id.empty() && known->status != Status::kUnknown);
        if (sure) {
          caller->Answer(*known);
          return;
        }
        task->shim()->Call<pb::StateResponse>(
            "State", *RequestFor<pb::StateRequest>(task->id(), exec_id),
            Within(ctx, env_->timeouts().state),
            [task, exec_id, caller](const absl::StatusOr<pb::StateResponse>& response) {
              if (IsClosed(response.status())) {
                caller->Answer(TaskNotFound(task->id()));
              } else if (!response.ok()) {
                caller->Answer(response.status());
              } else {
                caller->Answer(FromProto(task->id(), *response));
              }
            });
      });
}

void TaskManager::Wait(const Context& ctx, const std::string& id, const std::string& exec_id,
                       Done<Exit> done) {
  const auto told = Caller<Exit>::Make(env_->shims.loop(), ctx, std::move(done));
  auto tell = [this, ns = ctx.ns, id, exec_id, told](absl::StatusOr<Exit> exit) {
    const std::shared_ptr<Task> task = env_->tasks.Find(ns, id);
    const auto process = exit.ok() && task != nullptr ? task->Find(exec_id) : std::nullopt;
    if (!process) {
      told->Answer(std::move(exit));
      return;
    }
    AwaitOutput(*env_, process->stdio, [told, exit] { told->Answer(exit); });
  };
  WithTask<Exit>(
      ctx, id, std::move(tell),
      [this, exec_id](const std::shared_ptr<Task>& task, std::shared_ptr<Caller<Exit>> caller) {
        if (task->AddWaiter(exec_id, std::move(caller))) WatchExit(*env_, task, exec_id);
      });
}

void TaskManager::Change(const Context& ctx, const std::string& id, std::string_view method,
                         std::unique_ptr<google::protobuf::MessageLite> request,
                         absl::Duration budget, Done<Nothing> done,
                         absl::AnyInvocable<void(Task&)> succeeded) {
  WithTask<Nothing>(
      ctx, id, std::move(done),
      [this, method, budget, request = std::move(request), succeeded = std::move(succeeded)](
          const std::shared_ptr<Task>& task, std::shared_ptr<Caller<Nothing>> caller) mutable {
        task->shim()->Call<Empty>(method, *request, env_->In(budget),
                                  [task, caller, succeeded = std::move(succeeded)](
                                      const absl::StatusOr<Empty>& response) mutable {
                                    if (!response.ok()) {
                                      caller->Answer(response.status());
                                      return;
                                    }
                                    succeeded(*task);
                                    caller->Answer(Nothing{});
                                  });
      });
}

void TaskManager::Kill(const Context& ctx, const std::string& id, const KillOptions& options,
                       Done<Nothing> done) {
  const std::shared_ptr<Task> task = env_->tasks.Find(ctx.ns, id);
  if (task != nullptr && task->phase() == Task::Phase::kReady && options.exec_id.empty() &&
      !options.all && task->Init().status == Status::kStopped) {
    return done(NotFound("process already finished"));
  }
  auto request = RequestFor<pb::KillRequest>(id, options.exec_id);
  request->set_signal(options.signal);
  request->set_all(options.all);
  Change(ctx, id, "Kill", std::move(request), env_->timeouts().runtime_signal, std::move(done));
}

void TaskManager::ResizePty(const Context& ctx, const std::string& id, const std::string& exec_id,
                            TerminalSize size, Done<Nothing> done) {
  auto request = RequestFor<pb::ResizePtyRequest>(id, exec_id);
  request->set_width(size.width);
  request->set_height(size.height);
  Change(ctx, id, "ResizePty", std::move(request), env_->timeouts().quick, std::move(done));
}

void TaskManager::CloseIo(const Context& ctx, const std::string& id, const std::string& exec_id,
                          Done<Nothing> done) {
  auto request = RequestFor<pb::CloseIORequest>(id, exec_id);
  request->set_stdin(true);
  Change(ctx, id, "CloseIO", std::move(request), env_->timeouts().quick,
         [done = std::move(done)](absl::StatusOr<Nothing> closed) mutable {
           if (SaysNotFound(closed.status())) closed = NotFound("{}", Text(closed.status()));
           done(std::move(closed));
         });
}

void TaskManager::CheckExists(const Context& ctx, const std::string& id, const std::string& exec_id,
                              Done<Nothing> done) {
  Get(ctx, id, exec_id, [done = std::move(done)](absl::StatusOr<ProcessState> state) mutable {
    if (!state.ok()) return done(state.status());
    done(Nothing{});
  });
}

void TaskManager::Pause(const Context& ctx, const std::string& id, Done<Nothing> done) {
  Change(ctx, id, "Pause", RequestFor<pb::PauseRequest>(id), env_->timeouts().runtime_signal,
         std::move(done), [](Task& task) { task.SetInitStatus(Status::kPaused); });
}

void TaskManager::Resume(const Context& ctx, const std::string& id, Done<Nothing> done) {
  Change(ctx, id, "Resume", RequestFor<pb::ResumeRequest>(id), env_->timeouts().runtime_signal,
         std::move(done), [](Task& task) { task.SetInitStatus(Status::kRunning); });
}

void TaskManager::Pids(const Context& ctx, const std::string& id,
                       Done<std::vector<ProcessInfo>> done) {
  using Infos = std::vector<ProcessInfo>;
  WithTask<Infos>(
      ctx, id, std::move(done),
      [this, ctx](const std::shared_ptr<Task>& task, std::shared_ptr<Caller<Infos>> caller) {
        task->shim()->Call<pb::PidsResponse>(
            "Pids", *RequestFor<pb::PidsRequest>(task->id()), Within(ctx, env_->timeouts().quick),
            [caller](absl::StatusOr<pb::PidsResponse> response) {
              if (!response.ok()) {
                caller->Answer(response.status());
                return;
              }
              Infos infos;
              for (auto& process : *response->mutable_processes()) {
                infos.push_back({.pid = process.pid()});
                if (process.has_info()) infos.back().info = std::move(*process.mutable_info());
              }
              caller->Answer(std::move(infos));
            });
      });
}

void TaskManager::Checkpoint(const Context& ctx, const std::string& id, CheckpointOptions options,
                             Done<Nothing> done) {
  auto request = RequestFor<pb::CheckpointTaskRequest>(id);
  request->set_path(options.path.string());
  if (options.runtime) *request->mutable_options() = *std::move(options.runtime);
  Change(ctx, id, "Checkpoint", std::move(request), env_->timeouts().checkpoint, std::move(done),
         [keep = std::move(options.keep)](Task&) {});
}

void TaskManager::Update(const Context& ctx, const std::string& id,
                         const google::protobuf::Any& resources,
                         const std::map<std::string, std::string>& annotations,
                         Done<Nothing> done) {
  auto request = RequestFor<pb::UpdateTaskRequest>(id);
  *request->mutable_resources() = resources;
  request->mutable_annotations()->insert(annotations.begin(), annotations.end());
  Change(ctx, id, "Update", std::move(request), env_->timeouts().runtime_signal, std::move(done));
}

void TaskManager::GetRuntimeInfo(const Context& ctx, const std::string& runtime,
                                 std::optional<google::protobuf::Any> options,
                                 Done<::containerd::types::RuntimeInfo> done) {
  using Info = ::containerd::types::RuntimeInfo;
  auto caller = Caller<Info>::Make(env_->shims.loop(), ctx, std::move(done));
  env_->shims.steps().Run([this, runtime, caller, options = std::move(options)] {
    const auto program = env_->shims.binaries().Resolve(runtime);
    if (!program.ok()) {
      caller->Answer(program.status());
      return;
    }
    env_->shims.launcher().Info(*program, options, env_->timeouts().quick,
                                [this, runtime, caller](absl::StatusOr<Info> info) {
                                  // Whoever asks goes by the name that they know.
                                  if (info.ok() && env_->shims.binaries().Renamed(runtime))
                                    info->set_name(runtime);
                                  caller->Answer(std::move(info));
                                });
  });
}

}  // namespace gantry::runtime
