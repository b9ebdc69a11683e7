// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "core/base/context.h"
#include "core/base/labels.h"
#include "core/base/status.h"
#include "core/metadata/metadata.h"

namespace gantry::leases {

struct Lease {
  std::string id;
  Labels labels;
  absl::Time created_at;
};

// What a lease keeps from collection: "content", "images", "ingests" or "snapshots/<snapshotter>",
// and the object's id.
struct Resource {
  std::string type;
  std::string id;
};

// The leases of all namespaces. A live lease is a root of collection and keeps its resources, which
// need not exist yet.
//
// Threads: all methods from any thread; they may block on the disk.
// Errors:  NotFound, AlreadyExists, InvalidArgument, Unimplemented (a resource type that cannot be
// leased).
class LeaseStore {
 public:
  explicit LeaseStore(metadata::Metadata& metadata) : metadata_(metadata) {}

  // Makes an id if there is none.
  absl::StatusOr<Lease> Create(const Context& ctx, Lease lease);
  absl::Status Delete(const Context& ctx, std::string_view id);
  absl::StatusOr<std::vector<Lease>> List(const Context& ctx) const;

  absl::Status AddResource(const Context& ctx, std::string_view lease, const Resource& resource);
  absl::Status DeleteResource(const Context& ctx, std::string_view lease, const Resource& resource);
  // Content, images, ingests, snapshots, in this order.
  absl::StatusOr<std::vector<Resource>> ListResources(const Context& ctx,
                                                      std::string_view lease) const;

 private:
  metadata::Metadata& metadata_;
};

// Removes a lease and its member rows inside a transaction; the collector uses it for expired ones.
absl::Status DeleteLease(metadata::WriteTxn& txn, std::string_view ns, std::string_view id);

}  // namespace gantry::leases
