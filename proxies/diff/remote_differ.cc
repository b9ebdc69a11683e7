// SPDX-License-Identifier: Apache-2.0
#include "proxies/diff/remote_differ.h"

#include <grpcpp/client_context.h>

#include <utility>

#include "absl/cleanup/cleanup.h"
#include "core/base/status.h"

namespace gantry::proxies {
namespace {

namespace pb = ::containerd::services::diff::v1;

using MountList = google::protobuf::RepeatedPtrField<containerd::types::Mount>;

void ToProto(const mount::Mounts& mounts, MountList& out) {
  for (const mount::Mount& mount : mounts) {
    auto* each = out.Add();
    each->set_type(mount.type);
    each->set_source(mount.source);
    each->set_target(mount.target);
    for (const std::string& option : mount.options) each->add_options(option);
  }
}

void ToProto(const Descriptor& descriptor, containerd::types::Descriptor& out) {
  out.set_media_type(descriptor.media_type);
  out.set_digest(descriptor.digest);
  out.set_size(descriptor.size);
  out.mutable_annotations()->insert(descriptor.annotations.begin(), descriptor.annotations.end());
}

Descriptor FromProto(const containerd::types::Descriptor& descriptor) {
  return {.media_type = descriptor.media_type(),
          .digest = descriptor.digest(),
          .size = descriptor.size(),
          .annotations = {descriptor.annotations().begin(), descriptor.annotations().end()}};
}

}  // namespace

RemoteDiffer::RemoteDiffer(std::string name, const std::string& address, Options options)
    : name_(std::move(name)),
      options_(options),
      channel_(Connect(address)),
      stub_(pb::Diff::NewStub(channel_)) {}

template <typename Body>
absl::Status RemoteDiffer::Call(const Context& ctx, Body body) {
  RETURN_IF_ERROR(ctx.Check());
  const absl::Cleanup leave = [this] { --calls_; };
  if (++calls_ > options_.max_calls) {
    return Unavailable("differ {}: {} calls wait for it already", name_, options_.max_calls);
  }
  grpc::ClientContext call;
  const CallScope scope(call, ctx, absl::InfiniteDuration(), closing_.get_token());
  return FromGrpc(body(call));
}

absl::StatusOr<Descriptor> RemoteDiffer::Apply(const Context& ctx, const Descriptor& layer,
                                               const mount::Mounts& mounts,
                                               const diff::ApplyOptions& options) {
  pb::ApplyRequest request;
  ToProto(layer, *request.mutable_diff());
  ToProto(mounts, *request.mutable_mounts());
  request.set_sync_fs(options.sync_fs);
  for (const auto& [id, payload] : options.payloads) {
    if (!(*request.mutable_payloads())[id].ParseFromString(payload)) {
      return InvalidArgument("payload of stream processor {} does not parse", id);
    }
  }
  pb::ApplyResponse response;
  RETURN_IF_ERROR(Call(
      ctx, [&](grpc::ClientContext& call) { return stub_->Apply(&call, request, &response); }));
  return FromProto(response.applied());
}

absl::StatusOr<Descriptor> RemoteDiffer::Compare(const Context& ctx, const mount::Mounts& left,
                                                 const mount::Mounts& right,
                                                 const diff::CompareOptions& options) {
  pb::DiffRequest request;
  ToProto(left, *request.mutable_left());
  ToProto(right, *request.mutable_right());
  request.set_media_type(options.media_type);
  request.set_ref(options.ref);
  request.mutable_labels()->insert(options.labels.begin(), options.labels.end());
  if (options.source_date_epoch) {
    const int64_t nanos = absl::ToUnixNanos(*options.source_date_epoch);
    const int64_t seconds = absl::ToUnixSeconds(*options.source_date_epoch);
    request.mutable_source_date_epoch()->set_seconds(seconds);
    request.mutable_source_date_epoch()->set_nanos(
        static_cast<int32_t>(nanos - seconds * 1'000'000'000));
  }
  pb::DiffResponse response;
  RETURN_IF_ERROR(
      Call(ctx, [&](grpc::ClientContext& call) { return stub_->Diff(&call, request, &response); }));
  return FromProto(response.diff());
}

}  // namespace gantry::proxies
