// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "core/base/mutex.h"
#include "core/digest/digest.h"
#include "proto/services/content/v1/content.grpc.pb.h"

namespace gantry::proxies {

// A content service with its bytes in memory, on a unix socket, that fails and hangs on demand.
class FakeStore final : public ::containerd::services::content::v1::Content::Service {
 public:
  explicit FakeStore(const std::filesystem::path& socket) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + socket.string(), grpc::InsecureServerCredentials());
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~FakeStore() override {
    {
      base::MutexLock lock(mutex_);
      hangs_ = false;
      changed_.NotifyAll();
    }
    server_->Shutdown(std::chrono::system_clock::now());
  }

  void FailWith(grpc::Status status) {
    base::MutexLock lock(mutex_);
    failure_ = std::move(status);
  }
  // From now on calls are not answered.
  void Hang() {
    base::MutexLock lock(mutex_);
    hangs_ = true;
  }
  void WaitForHanging(int count) {
    base::MutexLock lock(mutex_);
    while (hanging_ < count) changed_.Wait(mutex_);
  }
  std::string last_namespace() {
    base::MutexLock lock(mutex_);
    return last_namespace_;
  }
  bool saw_lease() {
    base::MutexLock lock(mutex_);
    return saw_lease_;
  }

 private:
  using Context = grpc::ServerContext;
  using Empty = google::protobuf::Empty;

  template <typename T>
  using Writer = grpc::ServerWriter<T>;

  // What every call begins with.
  grpc::Status Enter(const Context& context) {
    base::MutexLock lock(mutex_);
    const auto ns = context.client_metadata().find("containerd-namespace");
    if (ns != context.client_metadata().end())
      last_namespace_ = std::string(ns->second.data(), ns->second.size());
    saw_lease_ |= context.client_metadata().contains("containerd-lease");
    ++hanging_;
    changed_.NotifyAll();
    while (hangs_) changed_.Wait(mutex_);
    --hanging_;
    return failure_;
  }
  static grpc::Status Missing() { return {grpc::StatusCode::NOT_FOUND, "fake: not found"}; }

  grpc::Status Info(Context* context,
                    const ::containerd::services::content::v1::InfoRequest* request,
                    ::containerd::services::content::v1::InfoResponse* response) override {
    if (grpc::Status status = Enter(*context); !status.ok()) return status;
    base::MutexLock lock(mutex_);
    const auto found = blobs_.find(request->digest());
    if (found == blobs_.end()) return Missing();
    response->mutable_info()->set_digest(found->first);
    response->mutable_info()->set_size(static_cast<int64_t>(found->second.size()));
    return grpc::Status::OK;
  }
  grpc::Status List(
      Context* context, const ::containerd::services::content::v1::ListContentRequest*,
      Writer<::containerd::services::content::v1::ListContentResponse>* out) override {
    if (grpc::Status status = Enter(*context); !status.ok()) return status;
    base::MutexLock lock(mutex_);
    for (const auto& [digest, bytes] : blobs_) {
      ::containerd::services::content::v1::ListContentResponse message;
      message.add_info()->set_digest(digest);
      out->Write(message);
    }
    return grpc::Status::OK;
  }
  grpc::Status Delete(Context* context,
                      const ::containerd::services::content::v1::DeleteContentRequest* request,
                      Empty*) override {
    if (grpc::Status status = Enter(*context); !status.ok()) return status;
    base::MutexLock lock(mutex_);
    return blobs_.erase(request->digest()) == 1 ? grpc::Status::OK : Missing();
  }
  grpc::Status Read(
      Context* context, const ::containerd::services::content::v1::ReadContentRequest* request,
      Writer<::containerd::services::content::v1::ReadContentResponse>* out) override {
    if (grpc::Status status = Enter(*context); !status.ok()) return status;
    base::MutexLock lock(mutex_);
    const auto found = blobs_.find(request->digest());
    if (found == blobs_.end()) return Missing();
    // In small pieces, as a reader must expect.
    const std::string part = found->second.substr(static_cast<size_t>(request->offset()),
                                                  static_cast<size_t>(request->size()));
    for (size_t at = 0; at < part.size(); at += 3) {
      ::containerd::services::content::v1::ReadContentResponse message;
      message.set_offset(static_cast<int64_t>(at));
      message.set_data(part.substr(at, 3));
      out->Write(message);
    }
    return grpc::Status::OK;
  }
  grpc::Status Status(Context* context,
                      const ::containerd::services::content::v1::StatusRequest* request,
                      ::containerd::services::content::v1::StatusResponse* response) override {
    if (grpc::Status status = Enter(*context); !status.ok()) return status;
    base::MutexLock lock(mutex_);
    const auto found = ingests_.find(request->ref());
    if (found == ingests_.end()) return Missing();
    response->mutable_status()->set_ref(found->first);
    response->mutable_status()->set_offset(static_cast<int64_t>(found->second.size()));
    return grpc::Status::OK;
  }
  grpc::Status ListStatuses(
      Context* context, const ::containerd::services::content::v1::ListStatusesRequest*,
      ::containerd::services::content::v1::ListStatusesResponse* response) override {
    if (grpc::Status status = Enter(*context); !status.ok()) return status;
    base::MutexLock lock(mutex_);
    for (const auto& [ref, bytes] : ingests_) response->add_statuses()->set_ref(ref);
    return grpc::Status::OK;
  }
  grpc::Status Abort(Context* context,
                     const ::containerd::services::content::v1::AbortRequest* request,
                     Empty*) override {
    if (grpc::Status status = Enter(*context); !status.ok()) return status;
    base::MutexLock lock(mutex_);
    return ingests_.erase(request->ref()) == 1 ? grpc::Status::OK : Missing();
  }
  grpc::Status Write(
      Context* context,
      grpc::ServerReaderWriter<::containerd::services::content::v1::WriteContentResponse,
                               ::containerd::services::content::v1::WriteContentRequest>* stream)
      override {
    ::containerd::services::content::v1::WriteContentRequest request;
    std::string ref;
    while (stream->Read(&request)) {
      if (grpc::Status status = Enter(*context); !status.ok()) return status;
      if (ref.empty()) ref = request.ref();
      ::containerd::services::content::v1::WriteContentResponse response;
      if (grpc::Status status = Step(ref, request, response); !status.ok()) return status;
      stream->Write(response);
    }
    return grpc::Status::OK;
  }

  grpc::Status Step(const std::string& ref,
                    const ::containerd::services::content::v1::WriteContentRequest& request,
                    ::containerd::services::content::v1::WriteContentResponse& response) {
    namespace pb = ::containerd::services::content::v1;
    base::MutexLock lock(mutex_);
    std::string& bytes = ingests_[ref];
    if (request.action() != pb::STAT) {
      if (request.offset() == 0) bytes.clear();
      if (static_cast<size_t>(request.offset()) != bytes.size())
        return {grpc::StatusCode::OUT_OF_RANGE, "fake: out of range"};
      bytes += request.data();
    }
    const std::string digest = Digest::Of(bytes).str();
    response.set_action(request.action());
    response.set_offset(static_cast<int64_t>(bytes.size()));
    response.set_total(request.total());
    response.set_digest(digest);
    if (request.action() != pb::COMMIT) return grpc::Status::OK;
    const bool known = !blobs_.emplace(digest, bytes).second;
    ingests_.erase(ref);
    return known ? grpc::Status(grpc::StatusCode::ALREADY_EXISTS, "fake: already exists")
                 : grpc::Status::OK;
  }

  base::Mutex mutex_;
  base::CondVar changed_;
  bool hangs_ ABSL_GUARDED_BY(mutex_) = false;
  int hanging_ ABSL_GUARDED_BY(mutex_) = 0;
  bool saw_lease_ ABSL_GUARDED_BY(mutex_) = false;
  std::string last_namespace_ ABSL_GUARDED_BY(mutex_);
  grpc::Status failure_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> blobs_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> ingests_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace gantry::proxies
