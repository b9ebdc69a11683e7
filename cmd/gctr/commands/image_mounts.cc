// SPDX-License-Identifier: Apache-2.0
// gctr images mount and unmount.
#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "cmd/gctr/cli/list_format.h"
#include "cmd/gctr/client/image.h"
#include "cmd/gctr/client/lease.h"
#include "cmd/gctr/client/mount_activation.h"
#include "cmd/gctr/client/snapshots.h"
#include "cmd/gctr/commands/commands.h"
#include "cmd/gctr/container/rootfs.h"
#include "cmd/gctr/unpack.h"
#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/kernel/file.h"
#include "proto/services/leases/v1/leases.grpc.pb.h"

namespace gantry::gctr {
namespace {

namespace leases = containerd::services::leases::v1;

struct Options {
  std::vector<std::string> arguments;
  bool rw = false;
  std::string platform;
  bool sync_fs = false;
  absl::Duration expiration = absl::Hours(1);
  std::string snapshotter;
  bool rm = false;
};

absl::StatusOr<ImageManifest> FindImage(const Client& client, const Options& options) {
  Platform platform = HostPlatform();
  if (!options.platform.empty()) {
    ASSIGN_OR_RETURN(platform, ParsePlatform(options.platform));
  }
  ASSIGN_OR_RETURN(const auto image, GetImage(client, options.arguments[0]));
  return FindManifest(client, FromProto(image.target()), PlatformMatcher::Only(platform));
}

// A snapshot that an earlier mount left under the key is used again.
absl::StatusOr<ProtoMounts> OpenSnapshot(Snapshotter& snapshotter, const std::string& key,
                                         const std::string& parent, bool writable) {
  absl::StatusOr<ProtoMounts> mounts =
      writable ? snapshotter.Prepare(key, parent) : snapshotter.View(key, parent);
  if (absl::IsAlreadyExists(mounts.status())) return snapshotter.Mounts(key);
  return mounts;
}

absl::Status MountThere(const ProtoMounts& mounts, const std::string& target) {
  ASSIGN_OR_RETURN(std::vector<kernel::ScopedMount> made, MountAll(mounts, target));
  for (kernel::ScopedMount& mount : made) mount.Release();
  return absl::OkStatus();
}

absl::StatusOr<int> Mount(Session& session, const Options& options) {
  if (options.arguments.empty()) {
    return InvalidArgument("please provide an image reference to mount");
  }
  std::string target = options.arguments.size() > 1 ? options.arguments[1] : "";
  const std::string key = target.empty() ? "gctr-images-mount-" + kernel::RandomHex(8) : target;
  ASSIGN_OR_RETURN(Client * client, session.Connect());
  ASSIGN_OR_RETURN(const std::string name, ResolveSnapshotter(*client, options.snapshotter));
  ASSIGN_OR_RETURN(ScopedLease lease, ScopedLease::Make(*client, key, options.expiration));
  ASSIGN_OR_RETURN(const ImageManifest image, FindImage(*client, options));
  RETURN_IF_ERROR(Unpack(*client, image, {.snapshotter = name, .sync_fs = options.sync_fs}));
  ASSIGN_OR_RETURN(const std::string parent, TopSnapshot(*client, image));
  Snapshotter snapshotter(*client, name);
  ASSIGN_OR_RETURN(ProtoMounts mounts, OpenSnapshot(snapshotter, key, parent, options.rw));
  ASSIGN_OR_RETURN(mounts, ActivateMounts(*client, key, mounts));
  if (!target.empty()) {
    absl::Status mounted = MountThere(mounts, target);
    if (!mounted.ok()) {
      snapshotter.RemoveIfThere(key).IgnoreError();  // else collected with the lease
      return mounted;
    }
  } else if (mounts.size() == 1 && mounts[0].type() == "bind") {
    target = mounts[0].source();
  } else {
    return Unimplemented("images mount without a target: the daemon did not mount it");
  }
  lease.Keep();
  PrintLine(parent);
  PrintLine(target);
  return 0;
}

absl::StatusOr<int> Unmount(Session& session, const Options& options) {
  if (options.arguments.empty()) {
    return InvalidArgument("please provide a target path to unmount from");
  }
  const std::string& target = options.arguments[0];
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  RETURN_IF_ERROR(ToStatus(kernel::UnmountAll(target)));
  if (options.rm) {
    ASSIGN_OR_RETURN(const std::string name, ResolveSnapshotter(*client, options.snapshotter));
    RETURN_IF_ERROR(DeactivateMounts(*client, target));
    leases::DeleteRequest request;
    request.set_id(target);
    const absl::Status deleted =
        Service<leases::Leases>(*client).Call(&leases::Leases::Stub::Delete, request).status();
    if (!deleted.ok() && !absl::IsNotFound(deleted)) {
      return Annotate(deleted, "error deleting lease");
    }
    RETURN_IF_ERROR(
        Annotate(Snapshotter(*client, name).RemoveIfThere(target), "error removing snapshot"));
  }
  PrintLine(target);
  return 0;
}

}  // namespace

void AddImageMounts(CommandGroup& images, const Environment& environment) {
  auto options = std::make_shared<Options>();
  options->snapshotter = environment.snapshotter;
  CLI::App& mount = images.Add({.names = {"mount"},
                                .help = "Mount an image to a target path",
                                .arguments = "<ref> [<target>]"},
                               options->arguments,
                               [options](Session& session) { return Mount(session, *options); });
  mount.add_flag("--rw", options->rw, "Enable write support on the mount");
  mount.add_option("--platform", options->platform, "Platform of the image to mount");
  mount.add_flag("--sync-fs", options->sync_fs, "Write layers to disk when they are unpacked");
  AddDuration(mount, "-x,--expiration", options->expiration, "Expiration of the snapshot's lease");
  mount.add_option("--snapshotter", options->snapshotter, "Snapshotter name");
  CLI::App& unmount = images.Add(
      {.names = {"unmount"}, .help = "Unmount the image from the target", .arguments = "<target>"},
      options->arguments, [options](Session& session) { return Unmount(session, *options); });
  unmount.add_flag("--rm", options->rm, "Remove the snapshot after a successful unmount");
  unmount.add_option("--snapshotter", options->snapshotter, "Snapshotter name");
}

}  // namespace gantry::gctr
