// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/namespaces/namespace_store.h"
#include "core/plugin/plugin.h"

namespace gantry::namespaces {

inline constexpr plugin::Kind<NamespaceStore> kNamespaceService{"io.containerd.service.v1"};

// The NamespaceStore as plugin namespaces-service.
plugin::Registration StorePlugin();

}  // namespace gantry::namespaces
