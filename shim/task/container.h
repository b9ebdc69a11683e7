// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shim/cgroup/location.h"
#include "shim/loop/co.h"
#include "shim/loop/event.h"
#include "shim/messages/options.h"
#include "shim/messages/task_requests.h"
#include "shim/messages/task_responses.h"
#include "shim/runtime/oci_runtime.h"
#include "shim/task/answer.h"
#include "shim/task/container_exits.h"
#include "shim/task/process.h"
#include "shim/task/task_context.h"

namespace gantry::shim {

// A container and its processes, and what the Task service does to them. Where an exec id is asked for, an empty one means the init
// process.
//
// What changes the container happens one after the other; the questions (State, Wait, Pids, Stats) never wait for that. Whoever
// runs one of the coroutines holds the container by a shared_ptr. What was begun is finished, whether or not somebody still
// waits for the answer; a runtime that hangs is killed after kRuntimePatience, or at the caller's deadline if that is later.
class Container : public std::enable_shared_from_this<Container> {
 public:
  // `request` has been validated.
  Container(TaskContext& context, messages::CreateTaskRequest request, messages::runc_v1::Options options);
  Container(const Container&) = delete;

  // What fails has been undone: no mount, process, fd or runtime state is left, and nothing was announced.
  Co<Answer<messages::CreateTaskResponse>> Create(Time deadline);
  Co<Answer<messages::StartResponse>> Start(std::string exec_id, Time deadline);
  Answer<messages::Empty> AddExec(messages::ExecProcessRequest request);
  // A second call while one is under way gets its answer.
  Co<Answer<messages::DeleteResponse>> Delete(std::string exec_id, Time deadline);
  bool deleted() const { return init_.phase == Phase::kDeleted; }

  Co<Answer<messages::Empty>> Kill(std::string exec_id, int signal, bool all, Time deadline);
  Co<Answer<messages::Empty>> Pause(Time deadline);
  Co<Answer<messages::Empty>> Resume(Time deadline);
  Co<Answer<messages::Empty>> Update(std::string resources, Time deadline);
  Co<Answer<messages::Empty>> Checkpoint(std::string image_path, messages::runc_v1::CheckpointOptions options, Time deadline);
  Answer<messages::Empty> Resize(const std::string& exec_id, uint32_t width, uint32_t height);
  Answer<messages::Empty> CloseStdin(const std::string& exec_id);

  Answer<messages::StateResponse> State(const std::string& exec_id) const;
  Co<Answer<messages::WaitResponse>> Wait(std::string exec_id, Time deadline);
  Answer<messages::PidsResponse> Pids() const;
  Answer<messages::StatsResponse> Stats();

  // The kernel killed something in the container.
  void OutOfMemory();

  const std::string& id() const { return request_.id; }
  pid_t pid() const { return init_.pid; }

 private:
  static constexpr Clock::duration kRuntimePatience = std::chrono::minutes(10);
  static Time Limit(Time deadline);

  // container_create.cc
  Co<Answer<messages::CreateTaskResponse>> CreateSteps(Time deadline);
  Co<Answer<messages::CreateTaskResponse>> RunCreate(Time limit);
  Co<void> UndoCreate();
  kernel::Result<void> WriteOptions() const;
  CreateCommand CreateCommandOf() const;
  Co<wire::RpcStatus> BeginInit(kernel::Result<RuntimeCommand> command, const char* prefix);
  void OwnInit();

  // container_start.cc
  Co<Answer<messages::StartResponse>> StartInit(Time limit);
  Co<wire::RpcStatus> Restore(Time limit);
  Co<Answer<messages::StartResponse>> StartExec(std::shared_ptr<Process> exec, Time limit);
  Co<wire::RpcStatus> RunExec(Process& exec, Time limit);
  void ExecEnded(Process& exec, const Exit& exit);
  void InitEnded(const Exit& exit);

  // container_delete.cc
  Co<Answer<messages::DeleteResponse>> DeleteInit(Time deadline);
  Co<Answer<messages::DeleteResponse>> DeleteExec(std::string exec_id, Time deadline);
  Co<wire::RpcStatus> Dismantle(Time deadline);

  std::shared_ptr<Process> FindExec(const std::string& exec_id) const;
  // Null: there is none such.
  const Process* Find(const std::string& exec_id) const;
  template <typename Event>
  void Publish(std::string_view topic, const Event& event);
  std::string InBundle(const std::string& name) const { return request_.bundle + "/" + name; }
  bool PrivatePidNamespace() const;

  TaskContext& context_;
  const messages::CreateTaskRequest request_;
  const messages::runc_v1::Options options_;
  std::optional<OciRuntime> runtime_;
  std::optional<CgroupLocation> cgroup_;
  Process init_;
  std::map<std::string, std::shared_ptr<Process>> execs_;
  ContainerExits exits_;
  Turnstile changes_;
  bool runtime_has_state_ = false;  // the runtime may know the container
  bool mounted_ = false;

  // A pause waits for the runtime commands of execs.
  size_t exec_commands_ = 0;
  std::shared_ptr<Event> no_exec_commands_;

  // A delete under way, and what it was answered.
  struct Deletion {
    explicit Deletion(Loop& loop) : done(loop) {}
    Event done;
    std::optional<Answer<messages::DeleteResponse>> answer;
  };
  std::shared_ptr<Deletion> deletion_;
};

}  // namespace gantry::shim
