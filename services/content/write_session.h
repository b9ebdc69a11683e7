// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "core/content/content_store.h"
#include "core/content/ingest_writer.h"
#include "proto/services/content/v1/content.pb.h"
#include "services/rpc/exchange.h"

namespace gantry::content {

// The protocol of Content/Write: the first message opens the ingest, each is answered with the
// offset after its action. The ref stays locked until the stream ends; without a commit the ingest
// stays resumable.
class WriteSession final
    : public rpc::Session<::containerd::services::content::v1::WriteContentRequest,
                          ::containerd::services::content::v1::WriteContentResponse> {
 public:
  using Request = ::containerd::services::content::v1::WriteContentRequest;
  using Response = ::containerd::services::content::v1::WriteContentResponse;

  explicit WriteSession(ContentStore& store) : store_(store) {}

  absl::StatusOr<rpc::Step> Handle(const Context& ctx, const Request& request,
                                   Response& response) override;

 private:
  absl::Status Open(const Context& ctx, const Request& request);
  absl::Status Remember(const Context& ctx, const Request& request);
  absl::Status Write(const Request& request);
  absl::StatusOr<rpc::Step> Commit(const Context& ctx, const Request& request, Response& response);
  void Describe(Response& response) const;

  ContentStore& store_;
  std::unique_ptr<IngestWriter> writer_;
  int64_t total_ = 0;
  std::string expected_;
};

}  // namespace gantry::content
