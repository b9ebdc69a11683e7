// SPDX-License-Identifier: Apache-2.0
#include "snapshotters/native/native_driver.h"

#include "snapshotters/native/copy_tree.h"

namespace gantry::native {

using snapshots::Kind;
using snapshots::Layer;

absl::Status NativeDriver::Prepare(const Context& ctx, const Layer& layer) {
  RETURN_IF_ERROR(ctx.Check());
  RETURN_IF_ERROR(directories().MakeProvisional(layer.id, 0755));
  if (layer.parents.empty() || layer.kind == Kind::kView) return absl::OkStatus();
  return CopyTree(ctx, directories().Path(layer.parents.front()),
                  directories().ProvisionalPath(layer.id));
}

absl::StatusOr<snapshots::Usage> NativeDriver::Freeze(const Context& ctx, const Layer& layer,
                                                      bool durable) {
  if (durable) RETURN_IF_ERROR(snapshots::SyncFileSystem(directories().Path(layer.id)));
  return Measure(ctx, layer);
}

absl::StatusOr<snapshots::Usage> NativeDriver::Measure(const Context& ctx, const Layer& layer) {
  RETURN_IF_ERROR(ctx.Check());
  return snapshots::MeasureTree(ctx, directories().Path(layer.id));
}

mount::Mounts NativeDriver::MountsOf(const Layer& layer) const {
  const bool active = layer.kind == Kind::kActive;
  const uint64_t id = active || layer.parents.empty() ? layer.id : layer.parents.front();
  return {{.type = "bind",
           .source = directories().Path(id),
           .options = {"rbind", active ? "rw" : "ro"}}};
}

}  // namespace gantry::native
