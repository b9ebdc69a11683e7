// SPDX-License-Identifier: Apache-2.0
// Tasks that a test rules: which of their calls fail, and which are never answered.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "core/base/mutex.h"
#include "core/runtime/restart/task_control.h"

namespace gantry::runtime::restart::testing {

// Threads: all methods from any thread.
class FakeTasks final : public TaskControl {
 public:
  // One call that arrived: "run ns/id".
  using Calls = std::vector<std::string>;

  void SetTask(const std::string& name, Status status, uint32_t exit_status = 0) {
    base::MutexLock lock(mutex_);
    tasks_[name] = {.id = name, .pid = 1, .status = status, .exit_status = exit_status};
  }
  void Fail(const std::string& call, absl::Status status) {
    base::MutexLock lock(mutex_);
    failing_[call] = std::move(status);
  }
  // The call is not answered until Release() or the end of the fake.
  void Hang(const std::string& call) {
    base::MutexLock lock(mutex_);
    hanging_.insert(call);
  }
  void Release(const std::string& call) {
    std::vector<absl::AnyInvocable<void()>> held;
    {
      base::MutexLock lock(mutex_);
      hanging_.erase(call);
      held.swap(held_[call]);
    }
    for (auto& answer : held) answer();
  }

  std::optional<Status> StatusOf(const std::string& name) const {
    base::MutexLock lock(mutex_);
    const auto task = tasks_.find(name);
    if (task == tasks_.end()) return std::nullopt;
    return task->second.status;
  }
  // How often the call arrived.
  size_t Count(const std::string& call) const {
    base::MutexLock lock(mutex_);
    return static_cast<size_t>(std::ranges::count(calls_, call));
  }
  // Of the changing calls, in order.
  Calls Changes() const {
    base::MutexLock lock(mutex_);
    Calls changes;
    for (const std::string& call : calls_) {
      if (!call.starts_with("get ")) changes.push_back(call);
    }
    return changes;
  }
  CreateOptions OptionsOf(const std::string& name) const {
    base::MutexLock lock(mutex_);
    return options_.at(name);
  }
  // Waits until the call has arrived `times` times. False after half a minute.
  bool Await(const std::string& call, size_t times = 1) const {
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    base::MutexLock lock(mutex_);
    while (static_cast<size_t>(std::ranges::count(calls_, call)) < times) {
      if (!changed_.WaitUntil(mutex_, deadline) && absl::Now() >= deadline) return false;
    }
    return true;
  }
  // Waits until the task has the status. False after half a minute.
  bool AwaitStatus(const std::string& name, Status status) const {
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    base::MutexLock lock(mutex_);
    while (true) {
      const auto task = tasks_.find(name);
      if (task != tasks_.end() && task->second.status == status) return true;
      if (!changed_.WaitUntil(mutex_, deadline) && absl::Now() >= deadline) return false;
    }
  }

  void Get(const Context& ctx, const std::string& id, Done<ProcessState> done) override {
    Answer<ProcessState>("get", ctx, id, std::move(done), [](ProcessState& task) { return task; });
  }
  void Kill(const Context& ctx, const std::string& id, Done<Nothing> done) override {
    Answer<Nothing>("kill", ctx, id, std::move(done), [](ProcessState& task) {
      task.status = Status::kStopped;
      return Nothing{};
    });
  }
  void Wait(const Context& ctx, const std::string& id, Done<Exit> done) override {
    Answer<Exit>("wait", ctx, id, std::move(done), [](ProcessState&) { return Exit{}; });
  }
  void Delete(const Context& ctx, const std::string& id, Done<Exit> done) override {
    Answer<Exit>("delete", ctx, id, std::move(done), [](ProcessState&) { return Exit{}; });
  }
  void Run(const Context& ctx, const std::string& id, CreateOptions options,
           Done<uint32_t> done) override {
    {
      base::MutexLock lock(mutex_);
      const std::string name = ctx.ns + "/" + id;
      if (!tasks_.contains(name) && !failing_.contains("run " + name)) {
        tasks_[name] = {.id = name, .pid = 1, .status = Status::kCreated};
      }
      options_.insert_or_assign(name, std::move(options));
    }
    Answer<uint32_t>("run", ctx, id, std::move(done), [](ProcessState& task) {
      task.status = Status::kRunning;
      return task.pid;
    });
  }

 private:
  template <typename T>
  void Answer(const std::string& verb, const Context& ctx, const std::string& id, Done<T> done,
              absl::AnyInvocable<T(ProcessState&)> act) {
    const std::string name = ctx.ns + "/" + id;
    const std::string call = verb + " " + name;
    absl::AnyInvocable<void()> answer = [this, name, call, done = std::move(done),
                                         act = std::move(act)]() mutable {
      done(Outcome<T>(name, call, std::move(act)));
    };
    {
      base::MutexLock lock(mutex_);
      calls_.push_back(call);
      changed_.NotifyAll();
      if (hanging_.contains(call)) {
        held_[call].push_back(std::move(answer));
        return;
      }
    }
    answer();
  }
  template <typename T>
  absl::StatusOr<T> Outcome(const std::string& name, const std::string& call,
                            absl::AnyInvocable<T(ProcessState&)> act) {
    base::MutexLock lock(mutex_);
    if (const auto failing = failing_.find(call); failing != failing_.end()) {
      return failing->second;
    }
    const auto task = tasks_.find(name);
    if (task == tasks_.end()) return NotFound("task {} not found", name);
    T result = act(task->second);
    if (call.starts_with("delete ")) tasks_.erase(task);
    changed_.NotifyAll();
    return result;
  }

  mutable base::Mutex mutex_;
  mutable base::CondVar changed_;
  std::map<std::string, ProcessState> tasks_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, CreateOptions> options_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, absl::Status> failing_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> hanging_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::vector<absl::AnyInvocable<void()>>> held_ ABSL_GUARDED_BY(mutex_);
  Calls calls_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace gantry::runtime::restart::testing
