// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/runtime/caller.h"
#include "core/runtime/cgroup_metrics.h"
#include "core/runtime/shim.h"
#include "core/runtime/task_types.h"

namespace gantry::runtime {

// What is known of one task: its shim, the state of its processes, and who waits for what. The
// state follows from what the shim answered and announced, so that most questions about a task
// need no call to the shim.
//
// An empty exec id means the init process, here as everywhere.
//
// Threads: all methods from any thread. Nothing is called while the lock is held.
class Task {
 public:
  enum class Phase {
    kCreating,  // reserved: the id is taken, the task is not to be seen
    kLoading,   // found at start; its shim has not answered yet
    kReady,
    kDeleting,  // the id is still taken, the task is not to be seen any more
    kDead,      // its shim is gone and is being cleaned up after
  };

  Task(std::string ns, std::string id, Phase phase);

  const std::string& ns() const { return ns_; }
  const std::string& id() const { return id_; }

  Phase phase() const;
  // Changes the phase if it is `from`; false otherwise.
  bool Move(Phase from, Phase to);

  std::shared_ptr<Shim> shim() const;  // null until there is one
  void SetShim(std::shared_ptr<Shim> shim);

  // Ends the wait for a task that was creating or loading: makes it ready and tells those of
  // WhenLoaded(). False when it is dead meanwhile.
  bool BecomeReady();

  // Calls `loaded` once the task is no longer loading; at once if it is not. Forgotten some time
  // after `wanted` has become false; that one takes no lock of ours.
  void WhenLoaded(std::function<bool()> wanted, absl::AnyInvocable<void()> loaded);

  // --- What the shim answered or announced ---

  void SetInit(const ProcessState& state);
  // As SetInit(), but only of a task that is new: an exit that was seen already stays.
  void SetCreated(uint32_t pid, const Stdio& stdio);
  void AddExec(const std::string& exec_id, const Stdio& stdio);
  void RemoveExec(const std::string& exec_id);
  void SetStarted(const std::string& exec_id, uint32_t pid);
  // For pause and resume: has no effect on a process that has stopped.
  void SetInitStatus(Status status);
  // What the shim said when it was asked at `version`; no effect if something else was learnt
  // since.
  void RefreshInit(uint64_t version, Status status, uint32_t pid);
  // Answers everybody who waits for the process. False when the exit was known.
  bool SetExit(const std::string& exec_id, const Exit& exit);

  // --- Who has announced the exits ---

  // True for the first to ask: that one announces the exit, or has done so.
  bool ClaimExit(const std::string& exec_id);
  bool exit_claimed() const;

  // --- Questions ---

  ProcessState Init() const;
  // Grows whenever something is learnt of the init process.
  uint64_t init_version() const;
  std::optional<ProcessState> Find(const std::string& exec_id) const;
  // Whether the end is that of an earlier process which had the same id.
  bool IsEarlier(const std::string& exec_id, const Exit& exit) const;

  // Answers `waiter` when the process ends; at once if it has. True when nobody has asked the shim
  // yet: then the caller must, and report with SetExit() or FailWait().
  bool AddWaiter(const std::string& exec_id, std::shared_ptr<Caller<Exit>> waiter);
  // Whether the shim must be asked for the end of the process; true once per process.
  bool ArmWait(const std::string& exec_id);
  // The shim did not say how the process ended, and will not.
  void FailWait(const std::string& exec_id, const absl::Status& status);

  // --- Where its resources are counted; nothing if only the shim knows ---

  std::optional<CgroupPlace> cgroup() const;
  void SetCgroup(CgroupPlace place);

  // --- Deleting is joined by who asks again ---

  // True for the first, who does it; others are answered with it by FinishDelete().
  bool JoinDelete(std::shared_ptr<Caller<Exit>> caller);
  void FinishDelete(const absl::StatusOr<Exit>& result);

 private:
  struct Process {
    ProcessState state;
    absl::Time since = absl::InfinitePast();  // no process of this entry ended before
    bool known = false;                       // to the shim, as far as we know
    bool wait_armed = false;
    bool exit_claimed = false;
    std::vector<std::shared_ptr<Caller<Exit>>> waiters;
  };
  struct LoadWaiter {
    std::function<bool()> wanted;
    absl::AnyInvocable<void()> loaded;
  };
  static constexpr size_t kMaxWaiters = 10'000;

  Process& ProcessOf(const std::string& exec_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string ns_;
  const std::string id_;
  mutable base::Mutex mutex_;
  Phase phase_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<Shim> shim_ ABSL_GUARDED_BY(mutex_);
  Process init_ ABSL_GUARDED_BY(mutex_);
  uint64_t init_version_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, Process, std::less<>> execs_ ABSL_GUARDED_BY(mutex_);
  std::vector<LoadWaiter> loaded_ ABSL_GUARDED_BY(mutex_);
  std::optional<CgroupPlace> cgroup_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<Caller<Exit>>> deleters_ ABSL_GUARDED_BY(mutex_);
  bool deleting_ ABSL_GUARDED_BY(mutex_) = false;
};

// The tasks of all namespaces.
//
// Threads: all methods from any thread.
class TaskTable {
 public:
  // Takes the id. AlreadyExists.
  absl::StatusOr<std::shared_ptr<Task>> Reserve(const std::string& ns, const std::string& id,
                                                Task::Phase phase);
  std::shared_ptr<Task> Find(std::string_view ns, std::string_view id) const;  // null: none
  // Of one namespace, or of all if it is empty; in order of namespace and id.
  std::vector<std::shared_ptr<Task>> List(std::string_view ns) const;
  void Erase(const Task& task);

 private:
  using Key = std::pair<std::string, std::string>;
  mutable base::Mutex mutex_;
  std::map<Key, std::shared_ptr<Task>> tasks_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace gantry::runtime
