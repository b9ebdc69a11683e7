// SPDX-License-Identifier: Apache-2.0
#include "proxies/content/remote_backend.h"

#include <utility>
#include <vector>

#include "core/metadata/record.h"
#include "proxies/content/remote_reader.h"
#include "proxies/content/remote_writer.h"

namespace gantry::proxies {
namespace {

namespace pb = ::containerd::services::content::v1;
using content::IngestStatus;
using google::protobuf::Empty;

absl::Status Forgive(const absl::Status& status) {
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

IngestStatus FromProto(const pb::Status& status) {
  return {.ref = status.ref(),
          .offset = status.offset(),
          .total = status.total(),
          .expected = status.expected(),
          .started_at = metadata::FromProto(status.started_at()),
          .updated_at = metadata::FromProto(status.updated_at())};
}

// An ingest belongs to the namespace that its ref begins with.
Context OwnerOf(const Context& ctx, const std::string& ref) {
  return ctx.ns.empty() ? ctx.InNamespace(ref.substr(0, ref.find('/'))) : ctx;
}

}  // namespace

RemoteBackend::RemoteBackend(std::string name, const std::string& address, Options options)
    : name_(std::move(name)),
      options_(options),
      channel_(Connect(address)),
      stub_(pb::Content::NewStub(channel_)) {}

absl::StatusOr<RemoteBackend::Place> RemoteBackend::TakePlace() {
  if (++calls_ > options_.max_calls) {
    --calls_;
    return Unavailable("content store {}: {} calls wait for it already", name_, options_.max_calls);
  }
  return Place(&calls_, [](std::atomic<int>* calls) { --*calls; });
}

absl::StatusOr<std::optional<int64_t>> RemoteBackend::Size(const Context& ctx,
                                                           const Digest& digest) {
  pb::InfoRequest request;
  pb::InfoResponse response;
  request.set_digest(digest.str());
  const absl::Status status =
      Call(ctx, [&](Stub& stub, auto& call) { return stub.Info(&call, request, &response); });
  if (absl::IsNotFound(status)) return std::nullopt;
  RETURN_IF_ERROR(status);
  return response.info().size();
}

absl::StatusOr<std::unique_ptr<content::BlobReader>> RemoteBackend::Open(const Context& ctx,
                                                                         const Digest& digest) {
  ASSIGN_OR_RETURN(const std::optional<int64_t> size, Size(ctx, digest));
  if (!size) return NotFound("content {}", digest.str());
  return std::make_unique<RemoteReader>(*this, ctx, digest, *size);
}

absl::Status RemoteBackend::Delete(const Context& ctx, const Digest& digest) {
  pb::DeleteContentRequest request;
  Empty response;
  request.set_digest(digest.str());
  return Forgive(
      Call(ctx, [&](Stub& stub, auto& call) { return stub.Delete(&call, request, &response); }));
}

absl::Status RemoteBackend::ForEachBlob(const Context& ctx,
                                        absl::FunctionRef<absl::Status(const Digest&)> visit) {
  // Read to the end first: a visitor that deletes would keep the stream open, and change what is
  // being listed.
  std::vector<std::string> digests;
  RETURN_IF_ERROR(Call(ctx, [&](Stub& stub, auto& call) {
    const auto stream = stub.List(&call, pb::ListContentRequest());
    pb::ListContentResponse message;
    while (stream->Read(&message)) {
      for (const pb::Info& info : message.info()) digests.push_back(info.digest());
    }
    return stream->Finish();
  }));
  for (const std::string& text : digests) {
    ASSIGN_OR_RETURN(const Digest digest, Digest::Parse(text));
    RETURN_IF_ERROR(visit(digest));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<content::BackendWriter>> RemoteBackend::OpenWriter(
    const Context& ctx, const std::string& ref, int64_t total) {
  return RemoteWriter::Open(*this, ctx, ref, total);
}

absl::StatusOr<std::optional<IngestStatus>> RemoteBackend::Status(const Context& ctx,
                                                                  const std::string& ref) {
  pb::StatusRequest request;
  pb::StatusResponse response;
  request.set_ref(ref);
  const absl::Status status = Call(OwnerOf(ctx, ref), [&](Stub& stub, auto& call) {
    return stub.Status(&call, request, &response);
  });
  if (absl::IsNotFound(status)) return std::nullopt;
  RETURN_IF_ERROR(status);
  return FromProto(response.status());
}

absl::Status RemoteBackend::Abort(const Context& ctx, const std::string& ref) {
  pb::AbortRequest request;
  Empty response;
  request.set_ref(ref);
  return Forgive(Call(OwnerOf(ctx, ref), [&](Stub& stub, auto& call) {
    return stub.Abort(&call, request, &response);
  }));
}

absl::Status RemoteBackend::ForEachIngest(
    const Context& ctx, absl::FunctionRef<absl::Status(const std::string& ref)> visit) {
  pb::ListStatusesResponse response;
  RETURN_IF_ERROR(Call(ctx, [&](Stub& stub, auto& call) {
    return stub.ListStatuses(&call, pb::ListStatusesRequest(), &response);
  }));
  for (const pb::Status& status : response.statuses()) RETURN_IF_ERROR(visit(status.ref()));
  return absl::OkStatus();
}

}  // namespace gantry::proxies
