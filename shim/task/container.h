// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shim/cgroup/location.h"
#include "shim/io/endpoint.h"
#include "shim/io/log_followers.h"
#include "shim/json/spec_scan.h"
#include "shim/loop/co.h"
#include "shim/loop/event.h"
#include "shim/messages/fast.h"
#include "shim/messages/task_requests.h"
#include "shim/messages/task_responses.h"
#include "shim/options/resolve_options.h"
#include "shim/options/runc_options.h"
#include "shim/runtime/oci_runtime.h"
#include "shim/server/caller.h"
#include "shim/task/container_exits.h"
#include "shim/task/process.h"
#include "shim/task/reply.h"
#include "shim/task/shared_gate.h"
#include "shim/task/sync_exec.h"
#include "shim/task/task_context.h"

namespace gantry::shim {

// A container and its processes, and what the Task service does to them. Where an exec id is asked
// for, an empty one means the init process.
//
// What changes the container happens one after the other; the questions (State, Wait, Pids, Stats)
// never wait for that. Whoever runs one of the coroutines holds the container by a shared_ptr. What
// was begun is finished, whether or not somebody still waits for the answer; a runtime that hangs
// is killed after kRuntimePatience, or at the caller's deadline if that is later.
class Container : public std::enable_shared_from_this<Container> {
 public:
  // `request` has been validated.
  Container(TaskContext& context, messages::CreateTaskRequest request, RuncOptions options);
  Container(const Container&) = delete;

  // What fails has been undone: no mount, process, fd or runtime state is left, and nothing was
  // announced.
  Co<Reply<messages::CreateTaskResponse>> Create(Time deadline);
  Co<Reply<messages::StartResponse>> Start(std::string exec_id, Time deadline);
  Reply<messages::Empty> AddExec(messages::ExecProcessRequest request);
  // A second call while one is under way gets its answer.
  Co<Reply<messages::DeleteResponse>> Delete(std::string exec_id, Time deadline);
  bool deleted() const { return init_.phase == Phase::kDeleted; }

  Co<Reply<messages::Empty>> Kill(std::string exec_id, int signal, bool all, Time deadline);
  Co<Reply<messages::Empty>> Pause(Time deadline);
  Co<Reply<messages::Empty>> Resume(Time deadline);
  Co<Reply<messages::Empty>> Update(std::string resources, Time deadline);
  Co<Reply<messages::Empty>> Checkpoint(std::string image_path, CheckpointOptions options,
                                        Time deadline);
  Reply<messages::Empty> Resize(const std::string& exec_id, uint32_t width, uint32_t height);
  Reply<messages::Empty> CloseStdin(const std::string& exec_id);
  Reply<messages::Empty> ReopenLog(const std::string& exec_id);
  // Those who read along what the process logs.
  Reply<std::shared_ptr<LogFollowers>> Followers(const std::string& exec_id) const;

  // An exec for one call, which ends it when `caller` leaves or `deadline` passes. Waits for
  // nothing but what freezes the container.
  Co<Reply<messages::ExecSyncResponse>> ExecSync(messages::ExecSyncRequest request, Time deadline,
                                                 std::shared_ptr<Caller> caller);
  Reply<messages::Empty> CancelExec(const std::string& token);

  Reply<messages::StateResponse> State(const std::string& exec_id) const;
  // Given up when `caller` leaves; none does when it is null.
  Co<Reply<messages::WaitResponse>> Wait(std::string exec_id, Time deadline,
                                         std::shared_ptr<Caller> caller = nullptr);
  Reply<messages::PidsResponse> Pids() const;
  Reply<messages::StatsResponse> Stats();
  // Whether there is (still) a cgroup to ask.
  bool HasStats() const;

  // The kernel killed something in the container.
  void OutOfMemory();

  const std::string& id() const { return request_.id; }
  pid_t pid() const { return init_.pid; }

 private:
  static constexpr Clock::duration kRuntimePatience = std::chrono::minutes(10);
  static constexpr Clock::duration kIoPatience = std::chrono::seconds(30);
  static constexpr Clock::duration kStatsAge = std::chrono::milliseconds(100);
  static Time Limit(Time deadline);

  // `prefix` says which command has failed.
  static wire::RpcStatus Failure(const std::string& prefix, const RuntimeOutcome& outcome);
  void Log(const std::string& message) const;
  static wire::RpcStatus NoSuchProcess(const std::string& exec_id);
  std::shared_ptr<Process> FindExec(const std::string& exec_id) const;
  const Process* Find(const std::string& exec_id) const;  // null: there is none such
  std::string InBundle(const std::string& name) const { return request_.bundle + "/" + name; }

  void KillLeftovers();
  void AnnounceInitExit(const Exit& exit);
  void Announce(Process& process, const Exit& exit);
  static Co<void> ThawQuietly(std::shared_ptr<Container> self);

  // While one lives, which is within a turn, no sync exec begins.
  class [[nodiscard]] Freeze {
   public:
    explicit Freeze(Container& container) : container_(container) {
      container_.thawed_ = std::make_shared<Event>(container_.context_.loop);
    }
    Freeze(const Freeze&) = delete;
    ~Freeze() {
      container_.thawed_->Set();
      container_.thawed_.reset();
    }

   private:
    Container& container_;
  };

  // container_create.cc
  Co<Reply<messages::CreateTaskResponse>> CreateSteps(Time limit);
  Co<void> UndoCreate();
  Co<void> RemoveCgroups();
  void ReadSpec();
  CreateCommand CommandOfCreate() const;
  Co<wire::RpcStatus> BeginInit(kernel::Result<RuntimeCommand> command, std::string prefix);
  void PublishCreated();
  void OwnInit();

  // container_start.cc
  Co<Reply<messages::StartResponse>> StartInit(Time limit);
  Co<wire::RpcStatus> Restore(Time limit);
  Co<Reply<messages::StartResponse>> StartExec(std::shared_ptr<Process> exec, Time limit);
  // Whether an exec may begin now. Where one may not because something freezes the container, to be
  // asked again after AwaitThaw(), which is false at the limit.
  wire::RpcStatus MayExec() const;
  Co<bool> AwaitThaw(Time limit);
  Co<wire::RpcStatus> RunExec(std::shared_ptr<Process> exec, Time limit);
  Co<wire::RpcStatus> MakeExec(std::shared_ptr<Process> exec, Time limit);
  Co<wire::RpcStatus> AnnounceExec(std::shared_ptr<Process> exec, pid_t pid, std::string prefix);
  void Discard(pid_t pid);
  void ExecEnded(const std::shared_ptr<Process>& exec, const Exit& exit);

  // container_orphans.cc: after each runtime command of an exec, whose process has its owner then.
  void LookForOrphans();

  // container_exec_sync.cc
  kernel::Result<std::string> SyncSpec(const messages::ExecSyncRequest& request) const;
  Co<wire::RpcStatus> BeginSync(std::shared_ptr<SyncExec> exec, std::string spec,
                                std::array<Pipe, 2> pipes, Time limit);

  // container_delete.cc
  struct Unmounting {
    explicit Unmounting(Loop& loop) : done(loop) {}
    Event done;
    kernel::Result<void> result;
  };
  static Co<void> UnmountAndTell(std::shared_ptr<Container> self, std::shared_ptr<Unmounting> to,
                                 Time limit);
  Co<Reply<messages::DeleteResponse>> DeleteInit(Time deadline);
  Co<Reply<messages::DeleteResponse>> DeleteExec(std::shared_ptr<Process> exec, Time deadline);
  Co<wire::RpcStatus> Dismantle(Time deadline);
  Co<kernel::Result<void>> Unmount(Time limit);
  std::shared_ptr<Unmounting> BeginUnmount(Time limit);
  bool RootfsIsDone() const;

  // container_signal.cc
  Co<Reply<messages::Empty>> KillInit(int signal, bool all, Time deadline);
  bool MaySignalDirectly() const;

  TaskContext& context_;
  const messages::CreateTaskRequest request_;
  const RuncOptions options_;
  SpecSummary spec_;
  std::optional<OciRuntime> runtime_;
  std::optional<cgroup::Location> cgroup_;
  Process init_;
  std::map<std::string, std::shared_ptr<Process>> execs_;
  ContainerExits exits_;
  Turnstile changes_;
  SharedGate exec_commands_;       // a pause waits for the runtime commands of execs
  std::shared_ptr<Event> thawed_;  // of the Freeze there is
  std::map<std::string, std::shared_ptr<SyncExec>> sync_execs_;  // that have a token, by it
  uint64_t next_sync_exec_ = 0;
  bool create_killed_ = false;  // the runtime's command
  bool orphans_possible_ = false;
  bool runtime_has_state_ = false;  // the runtime may know the container
  bool mounted_ = false;
  std::optional<messages::Any> stats_;
  Time stats_time_;
};

}  // namespace gantry::shim
