// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cmd/gctr/client/client.h"

namespace gantry::gctr {

// A lease that keeps what the client makes from being collected until this object dies. It expires
// after a day, should nobody be there to delete it.
//
// Ownership: the client outlives the lease.
class [[nodiscard]] ScopedLease {
 public:
  static absl::StatusOr<ScopedLease> Make(Client& client);
  // With an id of the caller's; a lease that exists already is used, and never deleted here.
  static absl::StatusOr<ScopedLease> Make(Client& client, const std::string& id,
                                          absl::Duration expiry);

  ScopedLease(ScopedLease&& other) noexcept
      : client_(std::exchange(other.client_, nullptr)), id_(std::move(other.id_)) {}
  ScopedLease& operator=(ScopedLease&&) = delete;
  ~ScopedLease();

  // Leaves the lease to its expiry.
  void Keep() { id_.clear(); }

 private:
  ScopedLease(Client& client, std::string id) : client_(&client), id_(std::move(id)) {}

  Client* client_;  // null once moved from
  std::string id_;  // empty: nothing to delete
};

}  // namespace gantry::gctr
