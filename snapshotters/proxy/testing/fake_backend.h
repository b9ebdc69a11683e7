// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "proto/services/snapshots/v1/snapshots.grpc.pb.h"

namespace gantry::proxy {

// A snapshots service with its state in memory, on a unix socket, that fails and hangs on demand.
class FakeBackend final : public ::containerd::services::snapshots::v1::Snapshots::Service {
 public:
  using Labels = std::map<std::string, std::string>;
  struct Snapshot {
    ::containerd::services::snapshots::v1::Kind kind;
    std::string parent;
    Labels labels;
  };
  struct Call {
    std::string method;
    std::string key;
    std::string ns;
    bool has_lease = false;
    Labels labels;
    std::string parent;
  };
  enum class When { kBefore, kAfter };  // the state changes
  // May block, or fail the call.
  using Hook =
      std::function<absl::Status(When when, const std::string& method, const std::string& key)>;

  explicit FakeBackend(std::filesystem::path socket) : socket_(std::move(socket)) { Start(); }
  ~FakeBackend() override { Stop(); }

  void Start() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + socket_.string(), grpc::InsecureServerCredentials());
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  // Ends blocked calls too: hooks must return once Unblock() was called.
  void Stop() {
    SetHook({});
    Unblock();
    if (server_) server_->Shutdown(std::chrono::system_clock::now());
    server_.reset();
    std::filesystem::remove(socket_);
  }

  void SetHook(Hook hook) {
    base::MutexLock lock(mutex_);
    hook_ = std::move(hook);
    blocked_ = true;
  }
  // What a hook calls to hang.
  void Block() {
    base::MutexLock lock(mutex_);
    ++hanging_;
    changed_.NotifyAll();
    while (blocked_) changed_.Wait(mutex_);
    --hanging_;
  }
  void Unblock() {
    base::MutexLock lock(mutex_);
    blocked_ = false;
    changed_.NotifyAll();
  }
  void WaitForHanging(int count) {
    base::MutexLock lock(mutex_);
    while (hanging_ < count) changed_.Wait(mutex_);
  }

  std::map<std::string, Snapshot> snapshots() {
    base::MutexLock lock(mutex_);
    return snapshots_;
  }
  void Put(const std::string& key, Snapshot snapshot) {
    base::MutexLock lock(mutex_);
    snapshots_[key] = std::move(snapshot);
  }
  void Lose(const std::string& key) {
    base::MutexLock lock(mutex_);
    snapshots_.erase(key);
  }
  std::vector<Call> calls(const std::string& method) {
    base::MutexLock lock(mutex_);
    std::vector<Call> some;
    for (const Call& call : calls_) {
      if (call.method == method) some.push_back(call);
    }
    return some;
  }

 private:
  using Context = grpc::ServerContext;
  // What a method does to the state, under the lock.
  using Act = std::function<absl::Status()>;

  grpc::Status Run(Context* context, Call call, const Act& act);
  grpc::Status Create(Context* context, const std::string& method, const std::string& key,
                      const std::string& parent, Labels labels,
                      ::containerd::services::snapshots::v1::Kind kind,
                      ::containerd::types::Mount* mount);

  grpc::Status Prepare(Context*,
                       const ::containerd::services::snapshots::v1::PrepareSnapshotRequest*,
                       ::containerd::services::snapshots::v1::PrepareSnapshotResponse*) override;
  grpc::Status View(Context*, const ::containerd::services::snapshots::v1::ViewSnapshotRequest*,
                    ::containerd::services::snapshots::v1::ViewSnapshotResponse*) override;
  grpc::Status Mounts(Context*, const ::containerd::services::snapshots::v1::MountsRequest*,
                      ::containerd::services::snapshots::v1::MountsResponse*) override;
  grpc::Status Commit(Context*, const ::containerd::services::snapshots::v1::CommitSnapshotRequest*,
                      google::protobuf::Empty*) override;
  grpc::Status Remove(Context*, const ::containerd::services::snapshots::v1::RemoveSnapshotRequest*,
                      google::protobuf::Empty*) override;
  grpc::Status Stat(Context*, const ::containerd::services::snapshots::v1::StatSnapshotRequest*,
                    ::containerd::services::snapshots::v1::StatSnapshotResponse*) override;
  grpc::Status Update(Context*, const ::containerd::services::snapshots::v1::UpdateSnapshotRequest*,
                      ::containerd::services::snapshots::v1::UpdateSnapshotResponse*) override;
  grpc::Status List(
      Context*, const ::containerd::services::snapshots::v1::ListSnapshotsRequest*,
      grpc::ServerWriter<::containerd::services::snapshots::v1::ListSnapshotsResponse>*) override;
  grpc::Status Usage(Context*, const ::containerd::services::snapshots::v1::UsageRequest*,
                     ::containerd::services::snapshots::v1::UsageResponse*) override;
  grpc::Status Cleanup(Context*, const ::containerd::services::snapshots::v1::CleanupRequest*,
                       google::protobuf::Empty*) override;

  const std::filesystem::path socket_;
  base::Mutex mutex_;
  base::CondVar changed_;
  Hook hook_ ABSL_GUARDED_BY(mutex_);
  bool blocked_ ABSL_GUARDED_BY(mutex_) = false;
  int hanging_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, Snapshot> snapshots_ ABSL_GUARDED_BY(mutex_);
  std::vector<Call> calls_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace gantry::proxy
