// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/task.h"

#include <algorithm>
#include <iterator>

#include "absl/time/clock.h"

namespace gantry::runtime {
namespace {

Exit ExitOf(const ProcessState& state) {
  return {.pid = state.pid, .status = state.exit_status, .exited_at = state.exited_at};
}

void AnswerAll(const std::vector<std::shared_ptr<Caller<Exit>>>& callers,
               const absl::StatusOr<Exit>& result) {
  for (const auto& caller : callers) caller->Answer(result);
}

}  // namespace

Task::Task(std::string ns, std::string id, Phase phase)
    : ns_(std::move(ns)), id_(std::move(id)), phase_(phase) {
  init_.state.container_id = id_;
  init_.state.id = id_;
  init_.known = true;
  if (phase == Phase::kCreating) init_.since = absl::Now();
}

Task::Phase Task::phase() const {
  base::MutexLock lock(mutex_);
  return phase_;
}

bool Task::Move(Phase from, Phase to) {
  base::MutexLock lock(mutex_);
  if (phase_ != from) return false;
  phase_ = to;
  return true;
}

std::shared_ptr<Shim> Task::shim() const {
  base::MutexLock lock(mutex_);
  return shim_;
}

void Task::SetShim(std::shared_ptr<Shim> shim) {
  base::MutexLock lock(mutex_);
  shim_ = std::move(shim);
}

bool Task::BecomeReady() {
  std::vector<LoadWaiter> loaded;
  bool alive = false;
  {
    base::MutexLock lock(mutex_);
    alive = phase_ == Phase::kCreating || phase_ == Phase::kLoading;
    if (alive) phase_ = Phase::kReady;
    loaded.swap(loaded_);
  }
  for (LoadWaiter& waiter : loaded) waiter.loaded();
  return alive;
}

void Task::WhenLoaded(std::function<bool()> wanted, absl::AnyInvocable<void()> loaded) {
  std::vector<LoadWaiter> dropped;  // destroyed outside the lock
  {
    base::MutexLock lock(mutex_);
    if (phase_ == Phase::kLoading) {
      // A frozen shim may keep the task loading for days, and those who ask meanwhile give up.
      const auto gone = std::stable_partition(
          loaded_.begin(), loaded_.end(), [](const LoadWaiter& waiter) { return waiter.wanted(); });
      dropped.assign(std::make_move_iterator(gone), std::make_move_iterator(loaded_.end()));
      loaded_.erase(gone, loaded_.end());
      loaded_.push_back({.wanted = std::move(wanted), .loaded = std::move(loaded)});
      return;
    }
  }
  loaded();
}

Task::Process& Task::ProcessOf(const std::string& exec_id) {
  if (exec_id.empty()) return init_;
  const auto [entry, added] = execs_.try_emplace(exec_id);
  if (added) {
    entry->second.state.container_id = id_;
    entry->second.state.id = exec_id;
  }
  return entry->second;
}

void Task::SetInit(const ProcessState& state) {
  base::MutexLock lock(mutex_);
  init_.state = state;
  ++init_version_;
}

void Task::SetCreated(uint32_t pid, const Stdio& stdio) {
  base::MutexLock lock(mutex_);
  init_.state.stdio = stdio;
  init_.state.pid = pid;
  if (init_.state.status == Status::kUnknown) init_.state.status = Status::kCreated;
  ++init_version_;
}

void Task::AddExec(const std::string& exec_id, const Stdio& stdio) {
  base::MutexLock lock(mutex_);
  Process& process = ProcessOf(exec_id);
  process.known = true;
  process.since = absl::Now();
  process.state.stdio = stdio;
  if (process.state.status == Status::kUnknown) process.state.status = Status::kCreated;
}

void Task::RemoveExec(const std::string& exec_id) {
  Process removed;  // destroyed outside the lock
  base::MutexLock lock(mutex_);
  if (const auto found = execs_.find(exec_id); found != execs_.end()) {
    removed = std::move(found->second);
    execs_.erase(found);
  }
}

void Task::SetStarted(const std::string& exec_id, uint32_t pid) {
  base::MutexLock lock(mutex_);
  Process& process = ProcessOf(exec_id);
  process.known = true;
  if (pid != 0) process.state.pid = pid;
  if (process.state.status != Status::kStopped) process.state.status = Status::kRunning;
  if (exec_id.empty()) ++init_version_;
}

void Task::SetInitStatus(Status status) {
  base::MutexLock lock(mutex_);
  if (init_.state.status != Status::kStopped) init_.state.status = status;
  ++init_version_;
}

void Task::RefreshInit(uint64_t version, Status status, uint32_t pid) {
  base::MutexLock lock(mutex_);
  if (version != init_version_) return;
  init_.state.status = status;
  if (pid != 0) init_.state.pid = pid;
  ++init_version_;
}

bool Task::SetExit(const std::string& exec_id, const Exit& exit) {
  std::vector<std::shared_ptr<Caller<Exit>>> waiters;
  Exit known = exit;
  {
    base::MutexLock lock(mutex_);
    Process& process = ProcessOf(exec_id);
    if (process.state.status == Status::kStopped) return false;
    process.known = true;
    process.state.status = Status::kStopped;
    process.state.exit_status = exit.status;
    process.state.exited_at = exit.exited_at;
    if (exit.pid != 0) process.state.pid = exit.pid;
    if (exec_id.empty()) ++init_version_;
    known = ExitOf(process.state);
    waiters.swap(process.waiters);
  }
  AnswerAll(waiters, known);
  return true;
}

bool Task::ClaimExit(const std::string& exec_id) {
  base::MutexLock lock(mutex_);
  return !std::exchange(ProcessOf(exec_id).exit_claimed, true);
}

bool Task::exit_claimed() const {
  base::MutexLock lock(mutex_);
  return init_.exit_claimed;
}

ProcessState Task::Init() const {
  base::MutexLock lock(mutex_);
  return init_.state;
}

uint64_t Task::init_version() const {
  base::MutexLock lock(mutex_);
  return init_version_;
}

std::optional<ProcessState> Task::Find(const std::string& exec_id) const {
  base::MutexLock lock(mutex_);
  if (exec_id.empty()) return init_.state;
  const auto found = execs_.find(exec_id);
  if (found == execs_.end() || !found->second.known) return std::nullopt;
  return found->second.state;
}

bool Task::IsEarlier(const std::string& exec_id, const Exit& exit) const {
  base::MutexLock lock(mutex_);
  const auto found = execs_.find(exec_id);
  if (!exec_id.empty() && found == execs_.end()) return false;
  const Process& process = exec_id.empty() ? init_ : found->second;
  if (process.state.pid != 0) return exit.pid != 0 && exit.pid != process.state.pid;
  // This one's pid is not known yet.
  return exit.exited_at != absl::InfinitePast() && exit.exited_at < process.since;
}

bool Task::AddWaiter(const std::string& exec_id, std::shared_ptr<Caller<Exit>> waiter) {
  absl::StatusOr<Exit> answer = Exit{};
  {
    base::MutexLock lock(mutex_);
    Process& process = ProcessOf(exec_id);
    if (process.state.status != Status::kStopped) {
      // Those who gave up have been answered; only their entries are left.
      std::erase_if(process.waiters, [](const auto& other) { return !other->waiting(); });
      if (process.waiters.size() < kMaxWaiters) {
        process.waiters.push_back(std::move(waiter));
        return !std::exchange(process.wait_armed, true);
      }
      answer = ResourceExhausted("too many callers wait for {:?}", process.state.id);
    } else {
      answer = ExitOf(process.state);
    }
  }
  waiter->Answer(std::move(answer));
  return false;
}

bool Task::ArmWait(const std::string& exec_id) {
  base::MutexLock lock(mutex_);
  Process& process = ProcessOf(exec_id);
  if (process.state.status == Status::kStopped) return false;
  return !std::exchange(process.wait_armed, true);
}

void Task::FailWait(const std::string& exec_id, const absl::Status& status) {
  std::vector<std::shared_ptr<Caller<Exit>>> waiters;
  {
    base::MutexLock lock(mutex_);
    Process& process = ProcessOf(exec_id);
    process.wait_armed = false;
    waiters.swap(process.waiters);
    if (!exec_id.empty() && !process.known) execs_.erase(exec_id);
  }
  AnswerAll(waiters, status);
}

std::optional<CgroupPlace> Task::cgroup() const {
  base::MutexLock lock(mutex_);
  return cgroup_;
}

void Task::SetCgroup(CgroupPlace place) {
  base::MutexLock lock(mutex_);
  cgroup_ = std::move(place);
}

bool Task::JoinDelete(std::shared_ptr<Caller<Exit>> caller) {
  base::MutexLock lock(mutex_);
  deleters_.push_back(std::move(caller));
  return !std::exchange(deleting_, true);
}

void Task::FinishDelete(const absl::StatusOr<Exit>& result) {
  std::vector<std::shared_ptr<Caller<Exit>>> deleters;
  {
    base::MutexLock lock(mutex_);
    deleters.swap(deleters_);
    deleting_ = false;
  }
  AnswerAll(deleters, result);
}

absl::StatusOr<std::shared_ptr<Task>> TaskTable::Reserve(const std::string& ns,
                                                         const std::string& id, Task::Phase phase) {
  base::MutexLock lock(mutex_);
  std::shared_ptr<Task>& task = tasks_[{ns, id}];
  if (task != nullptr) return AlreadyExists("task {}", id);
  task = std::make_shared<Task>(ns, id, phase);
  return task;
}

std::shared_ptr<Task> TaskTable::Find(std::string_view ns, std::string_view id) const {
  base::MutexLock lock(mutex_);
  const auto found = tasks_.find({std::string(ns), std::string(id)});
  return found == tasks_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<Task>> TaskTable::List(std::string_view ns) const {
  base::MutexLock lock(mutex_);
  std::vector<std::shared_ptr<Task>> tasks;
  auto entry = ns.empty() ? tasks_.begin() : tasks_.lower_bound({std::string(ns), {}});
  for (; entry != tasks_.end() && (ns.empty() || entry->first.first == ns); ++entry) {
    tasks.push_back(entry->second);
  }
  return tasks;
}

void TaskTable::Erase(const Task& task) {
  std::shared_ptr<Task> erased;  // destroyed outside the lock
  base::MutexLock lock(mutex_);
  const auto found = tasks_.find({task.ns(), task.id()});
  if (found == tasks_.end() || found->second.get() != &task) return;
  erased = std::move(found->second);
  tasks_.erase(found);
}

}  // namespace gantry::runtime
