// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/client/mount_activation.h"

#include "core/base/status.h"
#include "proto/services/mounts/v1/mounts.grpc.pb.h"

namespace gantry::gctr {
namespace {

namespace mounts = containerd::services::mounts::v1;

}  // namespace

absl::StatusOr<ProtoMounts> ActivateMounts(const Client& client, const std::string& name,
                                           const ProtoMounts& wanted, bool temporary) {
  mounts::ActivateRequest request;
  request.set_name(name);
  *request.mutable_mounts() = wanted;
  request.set_temporary(temporary);
  absl::StatusOr<mounts::ActivateResponse> response =
      Service<mounts::Mounts>(client).Call(&mounts::Mounts::Stub::Activate, request);
  if (absl::IsUnimplemented(response.status())) return wanted;
  if (!response.ok()) return Annotate(response.status(), "activate error");
  return std::move(*response->mutable_info()->mutable_system());
}

absl::Status DeactivateMounts(const Client& client, const std::string& name) {
  mounts::DeactivateRequest request;
  request.set_name(name);
  absl::Status status =
      Service<mounts::Mounts>(client).Call(&mounts::Mounts::Stub::Deactivate, request).status();
  return absl::IsUnimplemented(status) || absl::IsNotFound(status) ? absl::OkStatus() : status;
}

}  // namespace gantry::gctr
