// SPDX-License-Identifier: Apache-2.0
// The link between a lease and what it keeps, for the stores that attach what they create to the
// caller's lease.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "core/base/context.h"
#include "core/metadata/metadata.h"

namespace gantry::metadata {

// Resource types as the Leases service spells them; a snapshot's is "snapshots/<snapshotter>".
inline constexpr std::string_view kContentResource = "content";
inline constexpr std::string_view kImageResource = "images";
inline constexpr std::string_view kIngestResource = "ingests";
std::string SnapshotResource(std::string_view snapshotter);

// The node that a resource of this type names.
Node ResourceNode(std::string_view ns, std::string_view type, std::string_view id);

// Adds the resource to the context's lease; nothing to do without one. NotFound if the lease does
// not exist.
absl::Status AddToLease(WriteTxn& txn, const Context& ctx, std::string_view type,
                        std::string_view id);

// Removes the resource from the context's lease, if there is one and it holds the resource.
absl::Status RemoveFromLease(WriteTxn& txn, const Context& ctx, std::string_view type,
                             std::string_view id);

}  // namespace gantry::metadata
