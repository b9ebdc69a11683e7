// SPDX-License-Identifier: Apache-2.0
#include "snapshotters/overlayfs/overlay_driver.h"

#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "absl/strings/str_join.h"
#include "core/kernel/idmap.h"

namespace gantry::overlayfs {
namespace {

namespace fs = std::filesystem;
using snapshots::DiskStatus;
using snapshots::Kind;
using snapshots::Layer;

absl::Status MakeDirectory(const fs::path& path, mode_t mode) {
  // chmod too: the umask must not decide what containers see.
  if (::mkdir(path.c_str(), mode) != 0 || ::chmod(path.c_str(), mode) != 0)
    return DiskStatus(kernel::LastError("create " + path.string()));
  return absl::OkStatus();
}

std::optional<std::string> LabelOf(const Labels& labels, std::string_view key) {
  const auto label = labels.find(key);
  if (label == labels.end()) return std::nullopt;
  return label->second;
}

// What root is on the host by an id map label.
absl::StatusOr<uint32_t> HostRoot(std::string_view label, std::string_view text) {
  const auto map = kernel::ParseIdMap(text);
  if (!map) return InvalidArgument("label {}: {}", label, map.error().Text());
  for (const kernel::IdMapEntry& entry : *map) {
    if (entry.container == 0) return entry.host;
  }
  return InvalidArgument("label {}: {:?} does not map root", label, text);
}

struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;
};

// The owner that the id map labels ask for, if there are any.
absl::StatusOr<std::optional<Owner>> MappedOwner(const Labels& labels) {
  const auto uids = LabelOf(labels, snapshots::kUidMappingLabel);
  const auto gids = LabelOf(labels, snapshots::kGidMappingLabel);
  if (!uids && !gids) return std::nullopt;
  ASSIGN_OR_RETURN(const uint32_t uid, HostRoot(snapshots::kUidMappingLabel, uids.value_or("")));
  ASSIGN_OR_RETURN(const uint32_t gid, HostRoot(snapshots::kGidMappingLabel, gids.value_or("")));
  return Owner{uid, gid};
}

}  // namespace

absl::Status OverlayDriver::Prepare(const Context& ctx, const Layer& layer) {
  RETURN_IF_ERROR(ctx.Check());
  RETURN_IF_ERROR(directories().MakeProvisional(layer.id, 0700));
  const fs::path base = directories().ProvisionalPath(layer.id);
  RETURN_IF_ERROR(MakeDirectory(base / "fs", 0755));
  if (layer.kind == Kind::kActive) RETURN_IF_ERROR(MakeDirectory(base / "work", 0711));
  return TakeOwner(layer, base / "fs");
}

absl::Status OverlayDriver::TakeOwner(const Layer& layer, const fs::path& path) const {
  ASSIGN_OR_RETURN(std::optional<Owner> owner, MappedOwner(layer.labels));
  if (!owner && !layer.parents.empty()) {
    const fs::path parent = Upper(layer.parents.front());
    struct stat info {};
    if (::stat(parent.c_str(), &info) != 0)
      return DiskStatus(kernel::LastError("stat " + parent.string()));
    owner = Owner{info.st_uid, info.st_gid};
  }
  if (owner && ::lchown(path.c_str(), owner->uid, owner->gid) != 0)
    return DiskStatus(kernel::LastError("chown " + path.string()));
  return absl::OkStatus();
}

absl::StatusOr<snapshots::Usage> OverlayDriver::Freeze(const Context& ctx, const Layer& layer,
                                                       bool durable) {
  if (durable) RETURN_IF_ERROR(snapshots::SyncFileSystem(Upper(layer.id)));
  return Measure(ctx, layer);
}

absl::StatusOr<snapshots::Usage> OverlayDriver::Measure(const Context& ctx, const Layer& layer) {
  RETURN_IF_ERROR(ctx.Check());
  return snapshots::MeasureTree(ctx, Upper(layer.id));
}

mount::Mounts OverlayDriver::MountsOf(const Layer& layer) const {
  std::vector<std::string> options;
  if (options_.remap_ids) {
    if (const auto map = LabelOf(layer.labels, snapshots::kUidMappingLabel))
      options.push_back("uidmap=" + *map);
    if (const auto map = LabelOf(layer.labels, snapshots::kGidMappingLabel))
      options.push_back("gidmap=" + *map);
  }
  const auto bind = [&](const fs::path& source, const char* access) -> mount::Mounts {
    options.insert(options.end(), {access, "rbind"});
    return {{.type = "bind", .source = source, .options = options}};
  };
  const bool active = layer.kind == Kind::kActive;
  if (layer.parents.empty()) return bind(Upper(layer.id), active ? "rw" : "ro");
  if (!active && layer.parents.size() == 1) return bind(Upper(layer.parents.front()), "ro");

  if (active) {
    options.push_back("workdir=" + Work(layer.id).string());
    options.push_back("upperdir=" + Upper(layer.id).string());
  }
  options.push_back("lowerdir=" +
                    absl::StrJoin(layer.parents, ":", [&](std::string* out, uint64_t id) {
                      out->append(Upper(id).native());
                    }));
  options.insert(options.end(), options_.mount_options.begin(), options_.mount_options.end());
  return {{.type = "overlay", .source = "overlay", .options = std::move(options)}};
}

absl::Status OverlayDriver::CheckLabels(const Labels& labels) const {
  return MappedOwner(labels).status();
}

Labels OverlayDriver::ExtraLabels(const Layer& layer) const {
  if (!options_.upperdir_label) return {};
  return {{std::string(snapshots::kUpperDirLabel), Upper(layer.id)}};
}

}  // namespace gantry::overlayfs
