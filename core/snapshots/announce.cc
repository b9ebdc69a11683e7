// SPDX-License-Identifier: Apache-2.0
#include "core/snapshots/announce.h"

#include <string>

#include "proto/events/snapshot.pb.h"

namespace gantry::snapshots {

absl::Status AnnouncePrepare(events::Publisher& publisher, const Context& ctx,
                             std::string_view snapshotter, std::string_view key,
                             std::string_view parent) {
  containerd::events::SnapshotPrepare event;
  event.set_key(std::string(key));
  event.set_parent(std::string(parent));
  event.set_snapshotter(std::string(snapshotter));
  return publisher.Publish(ctx, "/snapshot/prepare", event);
}

absl::Status AnnounceCommit(events::Publisher& publisher, const Context& ctx,
                            std::string_view snapshotter, std::string_view key,
                            std::string_view name) {
  containerd::events::SnapshotCommit event;
  event.set_key(std::string(key));
  event.set_name(std::string(name));
  event.set_snapshotter(std::string(snapshotter));
  return publisher.Publish(ctx, "/snapshot/commit", event);
}

absl::Status AnnounceRemove(events::Publisher& publisher, const Context& ctx,
                            std::string_view snapshotter, std::string_view key) {
  containerd::events::SnapshotRemove event;
  event.set_key(std::string(key));
  event.set_snapshotter(std::string(snapshotter));
  return publisher.Publish(ctx, "/snapshot/remove", event);
}

}  // namespace gantry::snapshots
