// SPDX-License-Identifier: Apache-2.0
#include "services/content/write_session.h"

#include "core/log/log.h"
#include "services/rpc/convert.h"

namespace gantry::content {

namespace pb = ::containerd::services::content::v1;

absl::Status WriteSession::Open(const Context& ctx, const Request& request) {
  if (request.ref().empty()) return InvalidArgument("first message must have a reference");
  ASSIGN_OR_RETURN(writer_, store_.OpenWriter(ctx, {.ref = request.ref(),
                                                    .total = request.total(),
                                                    .expected = request.expected()}));
  total_ = request.total();
  expected_ = request.expected();
  return absl::OkStatus();
}

absl::Status WriteSession::Remember(const Context& ctx, const Request& request) {
  if (request.total() > 0) {
    if (total_ > 0 && total_ != request.total())
      log::Debug("total of ingest changed", {{"total", request.total()}});
    total_ = request.total();
  }
  if (request.expected().empty() || request.expected() == expected_) return absl::OkStatus();
  expected_ = request.expected();
  return writer_->CheckExpected(ctx, expected_);
}

absl::Status WriteSession::Write(const Request& request) {
  const int64_t offset = writer_->offset();
  if (request.offset() < 0 || (request.offset() > 0 && request.offset() != offset)) {
    return OutOfRange("write @{} must occur at current offset {}", request.offset(), offset);
  }
  if (request.offset() == 0 && offset > 0) RETURN_IF_ERROR(writer_->Truncate());
  return writer_->Write(request.data());
}

void WriteSession::Describe(Response& response) const {
  const IngestStatus status = writer_->status();
  response.set_offset(status.offset);
  *response.mutable_started_at() = rpc::ToProto(status.started_at);
  *response.mutable_updated_at() = rpc::ToProto(status.updated_at);
  response.set_total(total_ > 0 ? total_ : status.total);
  response.set_digest(writer_->Current().str());
}

absl::StatusOr<rpc::Step> WriteSession::Commit(const Context& ctx, const Request& request,
                                               Response& response) {
  RETURN_IF_ERROR(Write(request));
  const int64_t size = writer_->offset();
  ASSIGN_OR_RETURN(const Digest digest,
                   writer_->Commit(ctx, total_, expected_, rpc::FromProto(request.labels())));
  response.set_offset(size);
  response.set_digest(digest.str());
  writer_.reset();
  return rpc::Step::kEnd;
}

absl::StatusOr<rpc::Step> WriteSession::Handle(const Context& ctx, const Request& request,
                                               Response& response) {
  const bool first = writer_ == nullptr;
  if (first) {
    RETURN_IF_ERROR(Open(ctx, request));
  } else {
    RETURN_IF_ERROR(Remember(ctx, request));
  }
  response.set_action(request.action());
  switch (request.action()) {
    case pb::STAT:
      Describe(response);
      return rpc::Step::kContinue;
    case pb::WRITE:
      RETURN_IF_ERROR(Write(request));
      Describe(response);
      return rpc::Step::kContinue;
    case pb::COMMIT:
      return Commit(ctx, request, response);
    default:
      return InvalidArgument("unknown write action {}", static_cast<int>(request.action()));
  }
}

}  // namespace gantry::content
