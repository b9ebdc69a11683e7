// SPDX-License-Identifier: Apache-2.0
// A shim that does as tests tell it: the program that the daemon runs is a script, and the server
// behind the address that it prints is real ttrpc over a real socket.
#pragma once

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/runtime/convert.h"
#include "core/ttrpc/loop.h"
#include "core/ttrpc/server.h"
#include "gtest/gtest.h"
#include "proto/runtime/task/v3/shim.pb.h"

namespace gantry::runtime::testing {

// Threads: the test's alone; the server has its own.
class FakeShim {
 public:
  using Answer = absl::StatusOr<std::string>;
  using Script = std::function<Answer(const std::string& payload)>;

  // Serves at a socket in `directory`, as version 2 or 3 of the task service.
  explicit FakeShim(const std::filesystem::path& directory, int version = 3)
      : directory_(directory), version_(version) {
    std::filesystem::create_directories(directory);
    WriteProgram(version == 3
                     ? R"(printf '{"version":3,"address":"%s","protocol":"ttrpc"}' )" + address()
                     : "printf " + address());
    SetDelete(137, "");
    Behave();
    Listen();
  }
  ~FakeShim() { Die(); }

  std::filesystem::path program() const { return directory_ / "containerd-shim-fake-v1"; }
  std::string socket() const { return (directory_ / "s.sock").string(); }
  std::string address() const { return "unix://" + socket(); }

  // What `start` does: a shell script, in the bundle.
  void WriteProgram(const std::string& start) {
    std::ofstream(program()) << "#!/bin/sh\nfor action; do :; done\necho \"$action\" >> " << Log()
                             << "\ncase $action in\nstart) cat >/dev/null\n"
                             << start << ";;\ndelete) . " << directory_.string()
                             << "/delete.sh;;\nesac\n";
    std::filesystem::permissions(program(), std::filesystem::perms::owner_all);
  }

  // What `delete` answers, after it has run the shell commands `before`.
  void SetDelete(uint32_t status, const std::string& before) {
    ::containerd::task::v3::DeleteResponse response;
    response.set_pid(kInitPid);
    response.set_exit_status(status);
    response.mutable_exited_at()->set_seconds(1'700'000'000);
    std::ofstream(directory_ / "delete.bin") << response.SerializeAsString();
    std::ofstream(directory_ / "delete.sh")
        << before << "\ncat " << directory_.string() << "/delete.bin\n";
  }

  // How often the program was run for this.
  int Runs(const std::string& action) const {
    std::ifstream log(Log());
    std::string line;
    int runs = 0;
    while (std::getline(log, line)) runs += line == action ? 1 : 0;
    return runs;
  }

  void Listen() {
    ttrpc::Services services;
    for (const char* method :
         {"State", "Create", "Start", "Delete", "Pids", "Pause", "Resume", "Checkpoint", "Kill",
          "Exec", "ResizePty", "CloseIO", "Update", "Wait", "Stats", "Connect", "Shutdown"}) {
      services[Service()][method] = [this, name = std::string(method)](
                                        const ttrpc::ServerCall& call, std::string payload,
                                        ttrpc::Responder respond) {
        Handle(name, call, std::move(payload), std::move(respond));
      };
    }
    if (serves_fast_) {
      for (const std::string method : {"ExecSync", "CreateStart"}) {
        services["gantry.shim.v1.Fast"][method] = [this, method](const ttrpc::ServerCall& call,
                                                                 std::string payload,
                                                                 ttrpc::Responder respond) {
          Handle(method, call, std::move(payload), std::move(respond));
        };
      }
    }
    auto server =
        ttrpc::Server::Listen(*loop_, socket(), std::move(services), {.max_open_calls = 1UL << 14});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  // Serves gantry.shim.v1.Fast, too, to who connects from now on.
  void ServeFast() {
    serves_fast_ = true;
    Die();
    Listen();
  }

  // Goes as a killed process does: all connections break, nobody listens any more.
  void Die() {
    server_.reset();
    base::MutexLock lock(mutex_);
    held_.clear();
    waits_.clear();
  }

  // Answers `method` by this from now on.
  void On(const std::string& method, Script script) {
    base::MutexLock lock(mutex_);
    scripts_[method] = std::move(script);
  }
  void Fail(const std::string& method, absl::Status status) {
    On(method, [status](const std::string&) { return status; });
  }
  // Leaves `method` unanswered until Thaw().
  void Freeze(const std::string& method) {
    base::MutexLock lock(mutex_);
    frozen_.insert(method);
  }
  void Thaw(const std::string& method) {
    std::vector<Held> held;
    {
      base::MutexLock lock(mutex_);
      frozen_.erase(method);
      held = std::move(held_[method]);
    }
    for (Held& call : held) Respond(method, call.payload, std::move(call.respond));
  }

  // Ends a process: whoever waits for it is answered. An empty exec id is the init process.
  void Exit(const std::string& id, uint32_t status, const std::string& exec_id = "") {
    ::containerd::task::v3::WaitResponse response;
    response.set_exit_status(status);
    *response.mutable_exited_at() = TimeToProto(exit_time_);
    std::vector<ttrpc::Responder> waits;
    {
      base::MutexLock lock(mutex_);
      exits_[{id, exec_id}] = response;
      waits = std::move(waits_[{id, exec_id}]);
    }
    for (auto& wait : waits) wait(response.SerializeAsString());
  }
  void set_exit_time(absl::Time time) { exit_time_ = time; }

  // The methods that were called, in order; Connect left out.
  std::vector<std::string> Calls() const {
    base::MutexLock lock(mutex_);
    return calls_;
  }
  size_t CountCalls(const std::string& method) const {
    base::MutexLock lock(mutex_);
    return static_cast<size_t>(std::count(calls_.begin(), calls_.end(), method));
  }
  std::string LastPayload(const std::string& method) const {
    base::MutexLock lock(mutex_);
    const auto found = payloads_.find(method);
    return found == payloads_.end() ? "" : found->second;
  }
  std::string last_namespace() const {
    base::MutexLock lock(mutex_);
    return namespace_;
  }

  static constexpr uint32_t kInitPid = 4711;

 private:
  using Key = std::pair<std::string, std::string>;
  struct Held {
    std::string payload;
    ttrpc::Responder respond;
  };

  std::string Service() const {
    return version_ == 3 ? "containerd.task.v3.Task" : "containerd.task.v2.Task";
  }
  std::string Log() const { return (directory_ / "runs").string(); }

  void Handle(const std::string& method, const ttrpc::ServerCall& call, std::string payload,
              ttrpc::Responder respond) {
    {
      base::MutexLock lock(mutex_);
      if (method != "Connect") calls_.push_back(method);
      payloads_[method] = payload;
      for (const auto& [key, value] : call.metadata) {
        if (key == "containerd-namespace-ttrpc") namespace_ = value;
      }
      if (frozen_.contains(method)) {
        held_[method].push_back({std::move(payload), std::move(respond)});
        return;
      }
    }
    Respond(method, payload, std::move(respond));
  }

  void Respond(const std::string& method, const std::string& payload, ttrpc::Responder respond) {
    Script script;
    {
      base::MutexLock lock(mutex_);
      if (const auto found = scripts_.find(method); found != scripts_.end()) script = found->second;
    }
    if (script != nullptr) return respond(script(payload));
    if (method == "Wait") return RespondWait(payload, std::move(respond));
    respond(std::string());  // the empty message
  }

  void RespondWait(const std::string& payload, ttrpc::Responder respond) {
    ::containerd::task::v3::WaitRequest request;
    request.ParseFromString(payload);
    const Key key(request.id(), request.exec_id());
    std::string ended;
    {
      base::MutexLock lock(mutex_);
      const auto exit = exits_.find(key);
      if (exit == exits_.end()) {
        waits_[key].push_back(std::move(respond));
        return;
      }
      ended = exit->second.SerializeAsString();
    }
    respond(std::move(ended));
  }

  void Behave() {
    On("Create", [](const std::string&) -> Answer {
      ::containerd::task::v3::CreateTaskResponse response;
      response.set_pid(kInitPid);
      return response.SerializeAsString();
    });
    On("Start", [](const std::string& payload) -> Answer {
      ::containerd::task::v3::StartRequest request;
      request.ParseFromString(payload);
      ::containerd::task::v3::StartResponse response;
      response.set_pid(request.exec_id().empty() ? kInitPid : kInitPid + 1);
      return response.SerializeAsString();
    });
    On("CreateStart", [](const std::string&) -> Answer {
      ::containerd::task::v3::StartResponse response;
      response.set_pid(kInitPid);
      return response.SerializeAsString();
    });
    On("Delete", [](const std::string&) -> Answer {
      ::containerd::task::v3::DeleteResponse response;
      response.set_pid(kInitPid);
      response.set_exit_status(7);
      response.mutable_exited_at()->set_seconds(1'700'000'000);
      return response.SerializeAsString();
    });
    On("State", [](const std::string& payload) -> Answer {
      ::containerd::task::v3::StateRequest request;
      request.ParseFromString(payload);
      ::containerd::task::v3::StateResponse response;
      response.set_id(request.exec_id().empty() ? request.id() : request.exec_id());
      response.set_pid(kInitPid);
      response.set_status(::containerd::v1::types::RUNNING);
      response.set_stdout("/fifo/out");
      return response.SerializeAsString();
    });
  }

  const std::filesystem::path directory_;
  const int version_;
  bool serves_fast_ = false;
  absl::Time exit_time_ = absl::FromUnixSeconds(1'700'000'000);
  std::unique_ptr<ttrpc::Loop> loop_ = *ttrpc::Loop::Start("fake-shim");
  std::unique_ptr<ttrpc::Server> server_;
  mutable base::Mutex mutex_;
  std::map<std::string, Script> scripts_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> frozen_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::vector<Held>> held_ ABSL_GUARDED_BY(mutex_);
  std::map<Key, ::containerd::task::v3::WaitResponse> exits_ ABSL_GUARDED_BY(mutex_);
  std::map<Key, std::vector<ttrpc::Responder>> waits_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> calls_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> payloads_ ABSL_GUARDED_BY(mutex_);
  std::string namespace_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace gantry::runtime::testing
