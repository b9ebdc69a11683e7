// SPDX-License-Identifier: Apache-2.0
// What the world hears of snapshots. Views and updates are silent.
#pragma once

#include <string_view>

#include "core/base/context.h"
#include "core/base/status.h"
#include "core/events/publisher.h"

namespace gantry::snapshots {

absl::Status AnnouncePrepare(events::Publisher& publisher, const Context& ctx,
                             std::string_view snapshotter, std::string_view key,
                             std::string_view parent);
absl::Status AnnounceCommit(events::Publisher& publisher, const Context& ctx,
                            std::string_view snapshotter, std::string_view key,
                            std::string_view name);
absl::Status AnnounceRemove(events::Publisher& publisher, const Context& ctx,
                            std::string_view snapshotter, std::string_view key);

}  // namespace gantry::snapshots
