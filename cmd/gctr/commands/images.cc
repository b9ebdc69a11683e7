// SPDX-License-Identifier: Apache-2.0
// gctr images: records, and what is said of them.
#include <fmt/format.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cmd/gctr/cli/list_format.h"
#include "cmd/gctr/client/content.h"
#include "cmd/gctr/client/image.h"
#include "cmd/gctr/client/snapshots.h"
#include "cmd/gctr/commands/commands.h"
#include "cmd/gctr/container/spec.h"
#include "cmd/gctr/output/units.h"
#include "cmd/gctr/unpack.h"
#include "core/base/status.h"
#include "core/imagespec/reference.h"
#include "proto/services/containers/v1/containers.grpc.pb.h"

namespace gantry::gctr {
namespace {

namespace images = containerd::services::images::v1;
namespace containers = containerd::services::containers::v1;
using Stub = images::Images::Stub;
using Images = Service<images::Images>;

struct Options {
  std::vector<std::string> arguments;
  ListFormat list;
  std::string snapshotter;
  bool sync = false;
  bool force = false;
  bool local = false;  // always so
  bool skip_reference_check = false;
  bool replace_all = false;
  bool all = false;
};

std::string Join(const std::set<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ",") + word;
  return text;
}

absl::StatusOr<int> List(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  ASSIGN_OR_RETURN(const std::vector<images::Image> list, ListImages(*client, options.arguments));
  const PlatformMatcher platform = PlatformMatcher::Only(HostPlatform());
  Json json = Json::array();
  Table table({"REF", "TYPE", "DIGEST", "SIZE", "PLATFORMS", "LABELS"});
  for (const images::Image& image : list) {
    if (options.list.quiet) {
      PrintLine(image.name());
      continue;
    }
    const Descriptor target = FromProto(image.target());
    const auto manifest = FindManifest(*client, target, platform);
    const int64_t size = manifest.ok() ? ImageSize(*manifest) : 0;
    const auto platforms = ImagePlatforms(*client, target);
    for (const absl::Status& status : {manifest.status(), platforms.status()}) {
      if (!status.ok()) session.Report(Annotate(status, "image " + image.name()));
    }
    const std::set<std::string> names = platforms.ok() ? *platforms : std::set<std::string>();
    json.push_back({{"name", image.name()},
                    {"target", imagespec::ToJson({.descriptor = target})},
                    {"size", size},
                    {"platforms", names},
                    {"labels", Labels(image.labels().begin(), image.labels().end())},
                    {"created_at", FormatTime(image.created_at())},
                    {"updated_at", FormatTime(image.updated_at())}});
    table.Add({image.name(), target.media_type, target.digest, BinarySize(size),
               names.empty() ? "-" : Join(names), JoinPairs(image.labels(), "-")});
  }
  if (options.list.quiet) return 0;
  if (options.list.json()) {
    PrintJson(json);
  } else {
    table.Print();
  }
  return 0;
}

// What of an image is here.
struct Completeness {
  bool found = false;  // its manifest
  size_t required = 0;
  size_t present = 0;
  int64_t required_bytes = 0;
  int64_t present_bytes = 0;
  bool unpacked = false;

  bool complete() const { return found && present == required; }
  std::string status() const {
    if (!found) return fmt::format("unavailable ({}/?)", present);
    return fmt::format("{} ({}/{})", complete() ? "complete" : "incomplete", present, required);
  }
  std::string size() const {
    if (!found) return BinarySize(present_bytes) + "/?";
    return BinarySize(present_bytes) + "/" + BinarySize(required_bytes);
  }
};

absl::StatusOr<Completeness> CheckImage(const Client& client, const images::Image& image,
                                        const std::string& snapshotter) {
  Completeness result;
  const auto manifest =
      FindManifest(client, FromProto(image.target()), PlatformMatcher::Only(HostPlatform()));
  if (absl::IsNotFound(manifest.status())) return result;
  if (!manifest.ok()) return manifest.status();
  result.found = true;
  std::vector<Descriptor> parts = manifest->document.layers;
  parts.push_back(manifest->document.config);
  for (const Descriptor& part : parts) {
    ++result.required;
    result.required_bytes += part.size;
    const absl::Status info = BlobInfo(client, part.digest).status();
    if (absl::IsNotFound(info)) continue;
    RETURN_IF_ERROR(info);
    ++result.present;
    result.present_bytes += part.size;
  }
  const absl::StatusOr<bool> unpacked = IsUnpacked(client, *manifest, snapshotter);
  if (!unpacked.ok() && !absl::IsNotFound(unpacked.status())) return unpacked.status();
  result.unpacked = unpacked.ok() && *unpacked;
  return result;
}

absl::StatusOr<int> Check(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  ASSIGN_OR_RETURN(const std::string snapshotter, ResolveSnapshotter(*client, options.snapshotter));
  ASSIGN_OR_RETURN(const std::vector<images::Image> list, ListImages(*client, options.arguments));
  Json json = Json::array();
  Table table({"REF", "TYPE", "DIGEST", "STATUS", "SIZE", "UNPACKED"});
  int exit_status = 0;
  for (const images::Image& image : list) {
    absl::StatusOr<Completeness> checked = CheckImage(*client, image, snapshotter);
    if (!checked.ok()) {
      session.Report(Annotate(checked.status(), "unable to check " + image.name()));
      exit_status = 1;
    }
    const Completeness result = checked.value_or(Completeness{});
    const std::string status = checked.ok() ? result.status() : "error";
    if (options.list.quiet && result.complete() && result.unpacked) PrintLine(image.name());
    json.push_back({{"name", image.name()},
                    {"digest", image.target().digest()},
                    {"status", status},
                    {"present_bytes", result.present_bytes},
                    {"required_bytes", result.required_bytes},
                    {"unpacked", result.unpacked}});
    table.Add({image.name(), image.target().media_type(), image.target().digest(), status,
               checked.ok() ? result.size() : "-", result.unpacked ? "true" : "false"});
  }
  if (options.list.quiet || list.empty()) return exit_status;
  if (options.list.json()) {
    PrintJson(json);
  } else {
    table.Print();
  }
  return exit_status;
}

absl::StatusOr<int> Remove(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  int exit_status = 0;
  for (const std::string& name : options.arguments) {
    images::DeleteImageRequest request;
    request.set_name(name);
    request.set_sync(options.sync && &name == &options.arguments.back());
    const absl::Status status = Images(*client).Call(&Stub::Delete, request).status();
    if (status.ok()) {
      PrintLine(name);
    } else if (absl::IsNotFound(status)) {
      session.Warn(name + ": image not found");
    } else {
      session.Report(Annotate(status, "unable to delete " + name));
      exit_status = 1;
    }
  }
  return exit_status;
}

absl::Status CreateTag(const Client& client, const images::Image& image, bool force) {
  images::CreateImageRequest create;
  *create.mutable_image() = image;
  absl::Status status = Images(client).Call(&Stub::Create, create).status();
  if (!absl::IsAlreadyExists(status) || !force) return status;
  return PutImage(client, image);
}

absl::StatusOr<int> Tag(Session& session, const Options& options) {
  if (options.arguments.empty()) {
    return InvalidArgument("please provide an image reference to tag from");
  }
  if (options.arguments.size() == 1) {
    return InvalidArgument("please provide an image reference to tag to");
  }
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  ASSIGN_OR_RETURN(images::Image image, GetImage(*client, options.arguments[0]));
  for (size_t i = 1; i < options.arguments.size(); ++i) {
    const std::string& name = options.arguments[i];
    if (!options.skip_reference_check) {
      RETURN_IF_ERROR(imagespec::ParseReference(name).status());
    }
    image.set_name(name);
    RETURN_IF_ERROR(CreateTag(*client, image, options.force));
    PrintLine(name);
  }
  return 0;
}

absl::StatusOr<int> SetLabels(Session& session, const Options& options) {
  if (options.arguments.empty()) return InvalidArgument("please specify an image");
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  images::UpdateImageRequest request;
  request.mutable_image()->set_name(options.arguments[0]);
  request.mutable_image()->mutable_target();  // containerd reads it even if it is not to change
  if (options.replace_all) request.mutable_update_mask()->add_paths("labels");
  for (const auto& [key, value] :
       ParseLabels({options.arguments.begin() + 1, options.arguments.end()})) {
    (*request.mutable_image()->mutable_labels())[key] = value;
    if (!options.replace_all) request.mutable_update_mask()->add_paths("labels." + key);
  }
  if (request.update_mask().paths().empty()) return InvalidArgument("please specify labels");
  ASSIGN_OR_RETURN(const images::UpdateImageResponse response,
                   Images(*client).Call(&Stub::Update, request));
  PrintLine(JoinPairs(response.image().labels()));
  return 0;
}

absl::StatusOr<std::set<std::string>> UsedImages(const Client& client) {
  std::set<std::string> used;
  RETURN_IF_ERROR(Service<containers::Containers>(client).ForEach(
      &containers::Containers::Stub::ListStream, containers::ListContainersRequest(),
      [&](const containers::ListContainerMessage& message) {
        used.insert(message.container().image());
        return absl::OkStatus();
      }));
  return used;
}

absl::StatusOr<int> Prune(Session& session, const Options& options) {
  if (!options.all) {
    session.Warn("No images pruned. `images prune` requires --all to be specified.");
    return 0;
  }
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  ASSIGN_OR_RETURN(const std::set<std::string> used, UsedImages(*client));
  ASSIGN_OR_RETURN(const std::vector<images::Image> list, ListImages(*client, {}));
  Options unused;
  unused.sync = true;
  for (const images::Image& image : list) {
    if (!used.contains(image.name())) unused.arguments.push_back(image.name());
  }
  return Remove(session, unused);
}

absl::StatusOr<int> Usage(Session& session, const Options& options) {
  if (options.arguments.empty()) return InvalidArgument("please provide an image reference");
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  ASSIGN_OR_RETURN(const std::string name, ResolveSnapshotter(*client, options.snapshotter));
  ASSIGN_OR_RETURN(const images::Image image, GetImage(*client, options.arguments[0]));
  ASSIGN_OR_RETURN(
      const ImageManifest manifest,
      FindManifest(*client, FromProto(image.target()), PlatformMatcher::Only(HostPlatform())));
  ASSIGN_OR_RETURN(std::string key, TopSnapshot(*client, manifest));
  Snapshotter snapshotter(*client, name);
  ASSIGN_OR_RETURN(const bool unpacked, IsUnpacked(*client, manifest, name));
  if (!unpacked) {
    return FailedPrecondition("image {} isn't unpacked in snapshotter {}", image.name(), name);
  }
  Table table({"KEY", "SIZE", "INODES"});
  while (!key.empty()) {
    ASSIGN_OR_RETURN(const auto usage, snapshotter.Usage(key));
    table.Add({key, BinarySize(usage.size()), std::to_string(usage.inodes())});
    ASSIGN_OR_RETURN(const auto info, snapshotter.Stat(key));
    key = info.parent();
  }
  table.Print();
  return 0;
}

using Function = absl::StatusOr<int> (*)(Session&, const Options&);

Action Bind(const std::shared_ptr<Options>& options, Function function) {
  return [options, function](Session& session) { return function(session, *options); };
}

void AddListing(CommandGroup& group, const std::shared_ptr<Options>& options) {
  CLI::App& list = group.Add({.names = {"list", "ls"},
                              .help = "List images known to the daemon",
                              .arguments = "[<filter>...]"},
                             options->arguments, Bind(options, List));
  options->list.AddTo(list, "Print only the image refs");
  CLI::App& check = group.Add({.names = {"check"},
                               .help = "Check that all content of images is available",
                               .arguments = "[<filter>...]"},
                              options->arguments, Bind(options, Check));
  options->list.AddTo(check, "Print only the refs of images that are complete and unpacked");
  check.add_option("--snapshotter", options->snapshotter, "Snapshotter name");
  CLI::App& usage = group.Add(
      {.names = {"usage"}, .help = "Display usage of snapshots for an image", .arguments = "<ref>"},
      options->arguments, Bind(options, Usage));
  usage.add_option("--snapshotter", options->snapshotter, "Snapshotter name");
}

void AddChanging(CommandGroup& group, const std::shared_ptr<Options>& options) {
  CLI::App& remove = group.Add({.names = {"delete", "del", "remove", "rm"},
                                .help = "Remove one or more images by reference",
                                .arguments = "<ref> [<ref>...]"},
                               options->arguments, Bind(options, Remove));
  remove.add_flag("--sync", options->sync,
                  "Synchronously remove image and all associated resources");
  CLI::App& tag = group.Add({.names = {"tag"},
                             .help = "Tag an image",
                             .arguments = "<source_ref> <target_ref> [<target_ref>...]"},
                            options->arguments, Bind(options, Tag));
  tag.add_flag("--force", options->force, "Replace a target_ref that exists");
  tag.add_flag("--local", options->local, "Always so");
  tag.add_flag("--skip-reference-check", options->skip_reference_check,
               "Skip the strict check for reference names");
  CLI::App& label = group.Add({.names = {"label"},
                               .help = "Set and clear labels for an image",
                               .arguments = "<name> [<key>=<value>...]"},
                              options->arguments, Bind(options, SetLabels));
  label.add_flag("-r,--replace-all", options->replace_all, "Replace all labels");
  CLI::App& prune = group.Add({.names = {"prune"}, .help = "Remove unused images"},
                              options->arguments, Bind(options, Prune));
  prune.add_flag("--all", options->all, "Remove all images that no container uses");
}

}  // namespace

void AddImages(CommandGroup root, const Environment& environment) {
  auto options = std::make_shared<Options>();
  options->snapshotter = environment.snapshotter;
  CommandGroup group = root.AddGroup({.names = {"images", "image", "i"}, .help = "Manage images"});
  AddListing(group, options);
  AddChanging(group, options);
  AddImageTransfers(group, environment);
  AddImageMounts(group, environment);
  group.AddUnserved({.names = {"convert"}, .help = "Convert an image"});
  group.AddUnserved({.names = {"build-erofs-cache"}, .help = "Build EROFS layers of an image"});
}

}  // namespace gantry::gctr
