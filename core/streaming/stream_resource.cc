// SPDX-License-Identifier: Apache-2.0
#include "core/streaming/stream_resource.h"

#include <algorithm>

#include "core/base/status.h"

namespace gantry::streaming {
namespace {

gc::Object Describe(const StreamRegistry::Entry& entry) {
  gc::Object object{.node = {metadata::NodeType::kStream, entry.ns, entry.id},
                    .root = entry.lease.empty()};
  if (!entry.lease.empty()) {
    object.kept_by.push_back({metadata::NodeType::kLease, entry.ns, entry.lease});
  }
  return object;
}

}  // namespace

absl::Status StreamResource::Scan(const metadata::View&, absl::Time,
                                  absl::FunctionRef<absl::Status(gc::Object)> visit) {
  last_scanned_ = 0;
  for (const StreamRegistry::Entry& entry : streams_.List()) {
    last_scanned_ = std::max(last_scanned_, entry.serial);
    RETURN_IF_ERROR(visit(Describe(entry)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<gc::Object>> StreamResource::Load(const metadata::View&, absl::Time,
                                                               const metadata::Node& node) {
  const std::optional<StreamRegistry::Entry> entry = streams_.Find(node.ns, node.key);
  if (!entry) return std::nullopt;
  return Describe(*entry);
}

void StreamResource::Swept(const std::vector<metadata::Node>& nodes) {
  for (const metadata::Node& node : nodes) {
    streams_.CloseCollected(node.ns, node.key, last_scanned_);
  }
}

}  // namespace gantry::streaming
