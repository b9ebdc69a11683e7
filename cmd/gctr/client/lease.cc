// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/client/lease.h"

#include "core/base/status.h"
#include "proto/services/leases/v1/leases.grpc.pb.h"

namespace gantry::gctr {
namespace {

namespace leases = containerd::services::leases::v1;

absl::StatusOr<std::string> Create(Client& client, const std::string& id, absl::Duration expiry) {
  leases::CreateRequest request;
  request.set_id(id);
  (*request.mutable_labels())["containerd.io/gc.expire"] =
      absl::FormatTime("%Y-%m-%d%ET%H:%M:%SZ", absl::Now() + expiry, absl::UTCTimeZone());
  ASSIGN_OR_RETURN(const leases::CreateResponse response,
                   Service<leases::Leases>(client).Call(&leases::Leases::Stub::Create, request));
  return response.lease().id();
}

}  // namespace

absl::StatusOr<ScopedLease> ScopedLease::Make(Client& client) {
  ASSIGN_OR_RETURN(std::string id, Create(client, "", absl::Hours(24)));
  client.set_lease(id);
  return ScopedLease(client, std::move(id));
}

absl::StatusOr<ScopedLease> ScopedLease::Make(Client& client, const std::string& id,
                                              absl::Duration expiry) {
  const absl::StatusOr<std::string> created = Create(client, id, expiry);
  if (!created.ok() && !absl::IsAlreadyExists(created.status())) return created.status();
  client.set_lease(id);
  return ScopedLease(client, created.ok() ? id : "");
}

ScopedLease::~ScopedLease() {
  if (client_ == nullptr) return;
  client_->set_lease("");
  if (id_.empty()) return;
  leases::DeleteRequest request;
  request.set_id(id_);
  Service<leases::Leases>(*client_)
      .Call(&leases::Leases::Stub::Delete, request)
      .status()
      .IgnoreError();  // it expires
}

}  // namespace gantry::gctr
