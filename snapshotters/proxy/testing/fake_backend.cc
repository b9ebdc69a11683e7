// SPDX-License-Identifier: Apache-2.0
// The methods of the backend that the tests talk to.
#include "snapshotters/proxy/testing/fake_backend.h"

namespace gantry::proxy {

namespace pb = ::containerd::services::snapshots::v1;

namespace {

grpc::Status ToGrpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

void Fill(const std::string& name, const FakeBackend::Snapshot& snapshot, pb::Info* info) {
  info->set_name(name);
  info->set_parent(snapshot.parent);
  info->set_kind(snapshot.kind);
  info->mutable_labels()->insert(snapshot.labels.begin(), snapshot.labels.end());
  info->mutable_created_at()->set_seconds(1000);
  info->mutable_updated_at()->set_seconds(2000);
}

template <typename Map>
FakeBackend::Labels ToLabels(const Map& map) {
  return {map.begin(), map.end()};
}

}  // namespace

grpc::Status FakeBackend::Run(Context* context, Call call, const Act& act) {
  const auto& metadata = context->client_metadata();
  if (const auto ns = metadata.find("containerd-namespace"); ns != metadata.end())
    call.ns = std::string(ns->second.data(), ns->second.size());
  call.has_lease = metadata.contains("containerd-lease");
  Hook hook;
  {
    base::MutexLock lock(mutex_);
    calls_.push_back(call);
    hook = hook_;
  }
  absl::Status status;
  if (hook) status = hook(When::kBefore, call.method, call.key);
  if (status.ok()) {
    base::MutexLock lock(mutex_);
    status = act();
  }
  if (status.ok() && hook) status = hook(When::kAfter, call.method, call.key);
  return ToGrpc(status);
}

grpc::Status FakeBackend::Create(Context* context, const std::string& method,
                                 const std::string& key, const std::string& parent, Labels labels,
                                 pb::Kind kind, ::containerd::types::Mount* mount) {
  return Run(context, {.method = method, .key = key, .labels = labels, .parent = parent}, [&] {
    mutex_.AssertHeld();
    if (snapshots_.contains(key)) return AlreadyExists("{}", key);
    if (!parent.empty() && !snapshots_.contains(parent)) return NotFound("parent {}", parent);
    snapshots_[key] = {.kind = kind, .parent = parent, .labels = labels};
    mount->set_type("fake");
    mount->set_source(key);
    mount->add_options("parent=" + parent);
    return absl::OkStatus();
  });
}

grpc::Status FakeBackend::Prepare(Context* context, const pb::PrepareSnapshotRequest* request,
                                  pb::PrepareSnapshotResponse* response) {
  return Create(context, "Prepare", request->key(), request->parent(), ToLabels(request->labels()),
                pb::ACTIVE, response->add_mounts());
}

grpc::Status FakeBackend::View(Context* context, const pb::ViewSnapshotRequest* request,
                               pb::ViewSnapshotResponse* response) {
  return Create(context, "View", request->key(), request->parent(), ToLabels(request->labels()),
                pb::VIEW, response->add_mounts());
}

grpc::Status FakeBackend::Mounts(Context* context, const pb::MountsRequest* request,
                                 pb::MountsResponse* response) {
  return Run(context, {.method = "Mounts", .key = request->key()}, [&] {
    mutex_.AssertHeld();
    const auto found = snapshots_.find(request->key());
    if (found == snapshots_.end()) return NotFound("{}", request->key());
    auto* mount = response->add_mounts();
    mount->set_type("fake");
    mount->set_source(request->key());
    mount->add_options("parent=" + found->second.parent);
    return absl::OkStatus();
  });
}

grpc::Status FakeBackend::Commit(Context* context, const pb::CommitSnapshotRequest* request,
                                 google::protobuf::Empty*) {
  return Run(context,
             {.method = "Commit",
              .key = request->key(),
              .labels = ToLabels(request->labels()),
              .parent = request->parent()},
             [&] {
               mutex_.AssertHeld();
               const auto found = snapshots_.find(request->key());
               if (found == snapshots_.end()) return NotFound("{}", request->key());
               if (snapshots_.contains(request->name()))
                 return AlreadyExists("{}", request->name());
               Snapshot committed = found->second;
               committed.kind = pb::COMMITTED;
               committed.labels = ToLabels(request->labels());
               if (!request->parent().empty()) committed.parent = request->parent();
               snapshots_.erase(found);
               snapshots_[request->name()] = committed;
               return absl::OkStatus();
             });
}

grpc::Status FakeBackend::Remove(Context* context, const pb::RemoveSnapshotRequest* request,
                                 google::protobuf::Empty*) {
  return Run(context, {.method = "Remove", .key = request->key()}, [&] {
    mutex_.AssertHeld();
    for (const auto& [name, snapshot] : snapshots_) {
      if (snapshot.parent == request->key()) return FailedPrecondition("{} has children", name);
    }
    return snapshots_.erase(request->key()) > 0 ? absl::OkStatus() : NotFound("{}", request->key());
  });
}

grpc::Status FakeBackend::Stat(Context* context, const pb::StatSnapshotRequest* request,
                               pb::StatSnapshotResponse* response) {
  return Run(context, {.method = "Stat", .key = request->key()}, [&] {
    mutex_.AssertHeld();
    const auto found = snapshots_.find(request->key());
    if (found == snapshots_.end()) return NotFound("{}", request->key());
    Fill(found->first, found->second, response->mutable_info());
    return absl::OkStatus();
  });
}

grpc::Status FakeBackend::Update(Context* context, const pb::UpdateSnapshotRequest* request,
                                 pb::UpdateSnapshotResponse* response) {
  return Run(context,
             {.method = "Update",
              .key = request->info().name(),
              .labels = ToLabels(request->info().labels())},
             [&] {
               mutex_.AssertHeld();
               const auto found = snapshots_.find(request->info().name());
               if (found == snapshots_.end()) return NotFound("{}", request->info().name());
               found->second.labels = ToLabels(request->info().labels());
               Fill(found->first, found->second, response->mutable_info());
               return absl::OkStatus();
             });
}

grpc::Status FakeBackend::List(Context* context, const pb::ListSnapshotsRequest* request,
                               grpc::ServerWriter<pb::ListSnapshotsResponse>* writer) {
  // Filters are not understood, and each snapshot comes in a message of its own.
  std::map<std::string, Snapshot> all;
  const grpc::Status status =
      Run(context,
          {.method = "List", .key = request->filters_size() > 0 ? request->filters(0) : ""}, [&] {
            mutex_.AssertHeld();
            all = snapshots_;
            return absl::OkStatus();
          });
  for (const auto& [name, snapshot] : all) {
    pb::ListSnapshotsResponse message;
    Fill(name, snapshot, message.add_info());
    if (!writer->Write(message)) break;
  }
  return status;
}

grpc::Status FakeBackend::Usage(Context* context, const pb::UsageRequest* request,
                                pb::UsageResponse* response) {
  return Run(context, {.method = "Usage", .key = request->key()}, [&] {
    mutex_.AssertHeld();
    if (!snapshots_.contains(request->key())) return NotFound("{}", request->key());
    response->set_size(4096);
    response->set_inodes(2);
    return absl::OkStatus();
  });
}

grpc::Status FakeBackend::Cleanup(Context* context, const pb::CleanupRequest*,
                                  google::protobuf::Empty*) {
  return Run(context, {.method = "Cleanup"}, [] { return Unimplemented("cleanup"); });
}

}  // namespace gantry::proxy
