// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/container/remap.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <system_error>
#include <vector>

#include "cmd/gctr/container/rootfs.h"
#include "core/base/status.h"
#include "core/digest/digest.h"
#include "core/json/json.h"
#include "core/oci/spec.h"

namespace gantry::gctr {
namespace {

using Mappings = std::vector<oci::IdMapping>;

absl::StatusOr<Mappings> Parse(const std::vector<std::string>& texts) {
  Mappings mappings;
  for (const std::string& text : texts) {
    ASSIGN_OR_RETURN(const oci::IdMapping mapping, oci::ParseIdMapping(text));
    mappings.push_back(mapping);
  }
  std::ranges::stable_sort(mappings, {}, &oci::IdMapping::container_id);
  return mappings;
}

std::string LabelOf(const std::vector<std::string>& texts) {
  std::string label;
  for (const std::string& text : texts) label += (label.empty() ? "" : ",") + text;
  return label;
}

std::optional<uint32_t> HostId(const Mappings& mappings, uint32_t id) {
  for (const oci::IdMapping& mapping : mappings) {
    if (id >= mapping.container_id && id - mapping.container_id < mapping.size) {
      return mapping.host_id + (id - mapping.container_id);
    }
  }
  return std::nullopt;
}

absl::Status ChangeOwner(const std::string& path, const Mappings& uids, const Mappings& gids) {
  struct stat status = {};
  if (::lstat(path.c_str(), &status) != 0) return FromErrno(errno, "stat " + path);
  const std::optional<uint32_t> uid = HostId(uids, status.st_uid);
  const std::optional<uint32_t> gid = HostId(gids, status.st_gid);
  if (!uid || !gid) {
    return InvalidArgument("{}: owner {}:{} is not mapped", path, status.st_uid, status.st_gid);
  }
  if (::lchown(path.c_str(), *uid, *gid) != 0) return FromErrno(errno, "chown " + path);
  // The kernel takes these bits away from a file with a new owner.
  const mode_t special = S_ISUID | S_ISGID | S_ISVTX;
  if (!S_ISLNK(status.st_mode) && (status.st_mode & special) != 0 &&
      ::chmod(path.c_str(), status.st_mode & 07777) != 0) {
    return FromErrno(errno, "chmod " + path);
  }
  return absl::OkStatus();
}

absl::Status ChangeOwners(const std::string& root, const Mappings& uids, const Mappings& gids) {
  RETURN_IF_ERROR(ChangeOwner(root, uids, gids));
  std::error_code error;
  for (auto entry = std::filesystem::recursive_directory_iterator(root, error);
       !error && entry != std::filesystem::recursive_directory_iterator(); entry.increment(error)) {
    RETURN_IF_ERROR(ChangeOwner(entry->path().string(), uids, gids));
  }
  if (error) return FromErrno(error.value(), "walk " + root);
  return absl::OkStatus();
}

Json ToJson(const Mappings& mappings) {
  Json list = Json::array();
  for (const oci::IdMapping& mapping : mappings) {
    list.push_back({{"containerID", mapping.container_id},
                    {"hostID", mapping.host_id},
                    {"size", mapping.size}});
  }
  return list;
}

absl::Status MakeCopy(Snapshotter& snapshotter, const std::string& name, const std::string& parent,
                      const Mappings& uids, const Mappings& gids) {
  const std::string key = name + "-remap";
  ASSIGN_OR_RETURN(const ProtoMounts mounts, snapshotter.Prepare(key, parent));
  absl::Status status;
  {
    const absl::StatusOr<Rootfs> root = Rootfs::Mount(mounts, Rootfs::Access::kWritable);
    status = root.ok() ? ChangeOwners(root->path(), uids, gids) : root.status();
  }
  if (status.ok()) status = snapshotter.Commit(name, key);
  if (!status.ok()) snapshotter.RemoveIfThere(key).IgnoreError();  // collected otherwise
  return absl::IsAlreadyExists(status) ? absl::OkStatus() : status;
}

}  // namespace

absl::StatusOr<RemappedParent> RemapParent(Snapshotter& snapshotter, const std::string& parent,
                                           const ContainerFlags& flags) {
  if (flags.remap_labels) {
    return RemappedParent{.parent = parent,
                          .labels = {{"containerd.io/snapshot/uidmapping", LabelOf(flags.uidmap)},
                                     {"containerd.io/snapshot/gidmapping", LabelOf(flags.gidmap)}}};
  }
  ASSIGN_OR_RETURN(const Mappings uids, Parse(flags.uidmap));
  ASSIGN_OR_RETURN(const Mappings gids, Parse(flags.gidmap));
  const Json identity = {{"Parent", parent},
                         {"IDMap", {{"UidMap", ToJson(uids)}, {"GidMap", ToJson(gids)}}}};
  const std::string name = Digest::Of(DumpJson(identity)).str();
  ASSIGN_OR_RETURN(const bool there, snapshotter.Exists(name));
  if (!there) RETURN_IF_ERROR(MakeCopy(snapshotter, name, parent, uids, gids));
  return RemappedParent{.parent = name, .labels = {}};
}

}  // namespace gantry::gctr
