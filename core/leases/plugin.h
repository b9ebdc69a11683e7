// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/leases/lease_store.h"
#include "core/plugin/plugin.h"

namespace gantry::leases {

inline constexpr plugin::Kind<LeaseStore> kLeaseManager{"io.containerd.lease.v1"};

// The LeaseStore as plugin manager.
plugin::Registration StorePlugin();

}  // namespace gantry::leases
