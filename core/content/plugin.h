// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/clock.h"
#include "core/content/content_store.h"
#include "core/plugin/plugin.h"

namespace gantry::content {

inline constexpr plugin::Kind<ContentStore> kContentService{"io.containerd.service.v1"};

// The folder of blobs as plugin content. `clock` outlives it.
plugin::Registration LocalPlugin(const base::Clock& clock);

// The ContentStore as plugin content-service, over the one backend that is loaded.
plugin::Registration StorePlugin();

}  // namespace gantry::content
