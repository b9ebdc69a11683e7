// SPDX-License-Identifier: Apache-2.0
// gctr snapshots.
#include "cmd/gctr/client/snapshots.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cmd/gctr/cli/list_format.h"
#include "cmd/gctr/client/content.h"
#include "cmd/gctr/client/image.h"
#include "cmd/gctr/client/lease.h"
#include "cmd/gctr/client/mount_activation.h"
#include "cmd/gctr/commands/commands.h"
#include "cmd/gctr/container/spec.h"
#include "cmd/gctr/output/units.h"
#include "cmd/gctr/snapshot_diff.h"
#include "cmd/gctr/unpack.h"
#include "core/base/status.h"

namespace gantry::gctr {
namespace {

namespace snapshots = containerd::services::snapshots::v1;

constexpr const char* kRootLabel = "containerd.io/gc.root";

struct Options {
  std::vector<std::string> arguments;
  ListFormat list;
  std::string snapshotter;
  std::string target;
  bool mounts = false;
  bool temp = false;
  bool bytes = false;
  bool keep = false;
  bool sync_fs = false;
  DiffSettings diff;
  std::vector<std::string> labels;
};

// What every command begins with.
struct Opened {
  Client* client;
  Snapshotter snapshotter;
};

absl::StatusOr<Opened> Open(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(Client * client, session.Connect());
  ASSIGN_OR_RETURN(std::string name, ResolveSnapshotter(*client, options.snapshotter));
  return Opened{.client = client, .snapshotter = Snapshotter(*client, std::move(name))};
}

absl::Status CheckCount(const Options& options, size_t least, size_t most) {
  if (options.arguments.size() >= least && options.arguments.size() <= most) {
    return absl::OkStatus();
  }
  return InvalidArgument("wrong number of arguments; see --help");
}

std::string Argument(const Options& options, size_t index) {
  return index < options.arguments.size() ? options.arguments[index] : "";
}

std::string KindName(snapshots::Kind kind) {
  switch (kind) {
    case snapshots::VIEW:
      return "View";
    case snapshots::ACTIVE:
      return "Active";
    case snapshots::COMMITTED:
      return "Committed";
    default:
      return "Unknown";
  }
}

Json ToJson(const snapshots::Info& info) {
  Json json = {{"Kind", KindName(info.kind())},
               {"Name", info.name()},
               {"Created", FormatTime(info.created_at())},
               {"Updated", FormatTime(info.updated_at())}};
  if (!info.parent().empty()) json["Parent"] = info.parent();
  if (!info.labels().empty()) {
    json["Labels"] = Labels(info.labels().begin(), info.labels().end());
  }
  return json;
}

// As a shell can run them.
void PrintMounts(const std::string& target, const ProtoMounts& mounts) {
  for (const containerd::types::Mount& mount : mounts) {
    std::string options;
    for (const std::string& option : mount.options()) {
      options += (options.empty() ? " -o " : ",") + option;
    }
    const std::string place = (std::filesystem::path(target) / mount.target()).string();
    PrintLine(fmt::format("mount -t {} {} {}{}", mount.type(), mount.source(),
                          mount.target().empty() ? target : place, options));
  }
}

void PrintMountsAsAsked(const Options& options, const ProtoMounts& mounts) {
  if (!options.target.empty()) PrintMounts(options.target, mounts);
  if (!options.mounts) return;
  Json list = Json::array();
  for (const containerd::types::Mount& mount : mounts) {
    list.push_back(
        {{"Type", mount.type()},
         {"Source", mount.source()},
         {"Target", mount.target()},
         {"Options", std::vector<std::string>(mount.options().begin(), mount.options().end())}});
  }
  PrintJson(list);
}

std::string Now() {
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%SZ", absl::Now(), absl::UTCTimeZone());
}

absl::StatusOr<int> List(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(Opened opened, Open(session, options));
  ASSIGN_OR_RETURN(const std::vector<snapshots::Info> infos, opened.snapshotter.List());
  Json json = Json::array();
  Table table({"KEY", "PARENT", "KIND"});
  for (const snapshots::Info& info : infos) {
    json.push_back(ToJson(info));
    table.Add({info.name(), info.parent(), KindName(info.kind())});
  }
  if (options.list.json()) {
    PrintJson(json);
  } else {
    table.Print();
  }
  return 0;
}

absl::StatusOr<int> Info(Session& session, const Options& options) {
  RETURN_IF_ERROR(CheckCount(options, 1, 1));
  ASSIGN_OR_RETURN(Opened opened, Open(session, options));
  ASSIGN_OR_RETURN(const snapshots::Info info, opened.snapshotter.Stat(options.arguments[0]));
  PrintJson(ToJson(info));
  return 0;
}

absl::StatusOr<int> Prepare(Session& session, const Options& options) {
  RETURN_IF_ERROR(CheckCount(options, 1, 2));
  ASSIGN_OR_RETURN(Opened opened, Open(session, options));
  ASSIGN_OR_RETURN(const ProtoMounts mounts,
                   opened.snapshotter.Prepare(options.arguments[0], Argument(options, 1),
                                              {{kRootLabel, Now()}}));
  PrintMountsAsAsked(options, mounts);
  return 0;
}

absl::StatusOr<int> View(Session& session, const Options& options) {
  RETURN_IF_ERROR(CheckCount(options, 1, 2));
  ASSIGN_OR_RETURN(Opened opened, Open(session, options));
  ASSIGN_OR_RETURN(const ProtoMounts mounts,
                   opened.snapshotter.View(options.arguments[0], Argument(options, 1)));
  PrintMountsAsAsked(options, mounts);
  return 0;
}

absl::StatusOr<int> Mounts(Session& session, const Options& options) {
  RETURN_IF_ERROR(CheckCount(options, 2, 2));
  ASSIGN_OR_RETURN(Opened opened, Open(session, options));
  const std::string& key = options.arguments[1];
  ASSIGN_OR_RETURN(ProtoMounts mounts, opened.snapshotter.Mounts(key));
  if (options.temp) {
    ASSIGN_OR_RETURN(mounts, ActivateMounts(*opened.client, "gctr" + key, mounts));
  }
  PrintMounts(options.arguments[0], mounts);
  return 0;
}

absl::StatusOr<int> Commit(Session& session, const Options& options) {
  RETURN_IF_ERROR(CheckCount(options, 2, 2));
  ASSIGN_OR_RETURN(Opened opened, Open(session, options));
  RETURN_IF_ERROR(
      opened.snapshotter.Commit(options.arguments[0], options.arguments[1], {{kRootLabel, Now()}}));
  return 0;
}

absl::StatusOr<int> Remove(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(Opened opened, Open(session, options));
  for (const std::string& key : options.arguments) {
    RETURN_IF_ERROR(
        Annotate(opened.snapshotter.Remove(key), fmt::format("failed to remove \"{}\"", key)));
  }
  return 0;
}

absl::StatusOr<int> Usage(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(Opened opened, Open(session, options));
  std::vector<std::string> keys = options.arguments;
  if (keys.empty()) {
    ASSIGN_OR_RETURN(const std::vector<snapshots::Info> infos, opened.snapshotter.List());
    for (const snapshots::Info& info : infos) keys.push_back(info.name());
  }
  Table table({"KEY", "SIZE", "INODES"});
  for (const std::string& key : keys) {
    ASSIGN_OR_RETURN(const snapshots::UsageResponse usage, opened.snapshotter.Usage(key));
    table.Add({key, options.bytes ? std::to_string(usage.size()) : BinarySize(usage.size()),
               std::to_string(usage.inodes())});
  }
  table.Print();
  return 0;
}

absl::StatusOr<int> SetLabels(Session& session, const Options& options) {
  if (options.arguments.empty()) return InvalidArgument("snapshot key must be provided");
  ASSIGN_OR_RETURN(Opened opened, Open(session, options));
  const Labels labels = ParseLabels({options.arguments.begin() + 1, options.arguments.end()});
  const std::string& key = options.arguments[0];
  ASSIGN_OR_RETURN(const snapshots::Info info, labels.empty()
                                                   ? opened.snapshotter.Stat(key)
                                                   : opened.snapshotter.SetLabels(key, labels));
  PrintLine(JoinPairs(info.labels()));
  return 0;
}

// Walks with a list of its own: chains may be long.
void PrintBranches(const std::map<std::string, std::vector<std::string>>& children,
                   const std::string& root) {
  std::vector<std::pair<std::string, size_t>> pending = {{root, 0}};
  while (!pending.empty()) {
    const auto [name, level] = pending.back();
    pending.pop_back();
    PrintLine(std::string(level * 2, ' ') + (level > 0 ? "\\_" : "") + " " + name);
    const auto below = children.find(name);
    if (below == children.end()) continue;
    for (auto child = below->second.rbegin(); child != below->second.rend(); ++child) {
      pending.emplace_back(*child, level + 1);
    }
  }
}

absl::StatusOr<int> Tree(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(Opened opened, Open(session, options));
  ASSIGN_OR_RETURN(const std::vector<snapshots::Info> infos, opened.snapshotter.List());
  std::map<std::string, std::vector<std::string>> children;
  for (const snapshots::Info& info : infos) {
    if (!info.parent().empty()) children[info.parent()].push_back(info.name());
  }
  for (const snapshots::Info& info : infos) {
    if (info.parent().empty()) PrintBranches(children, info.name());
  }
  return 0;
}

absl::StatusOr<int> UnpackManifest(Session& session, const Options& options) {
  RETURN_IF_ERROR(CheckCount(options, 1, 1));
  ASSIGN_OR_RETURN(const Digest digest, Digest::Parse(options.arguments[0]));
  ASSIGN_OR_RETURN(Opened opened, Open(session, options));
  ASSIGN_OR_RETURN(const ScopedLease lease, ScopedLease::Make(*opened.client));
  ASSIGN_OR_RETURN(const auto images,
                   ListImages(*opened.client, {"target.digest==" + digest.str()}));
  if (images.empty()) return NotFound("manifest not found");
  const Descriptor target = FromProto(images.front().target());
  ASSIGN_OR_RETURN(const ImageManifest image,
                   FindManifest(*opened.client, target, PlatformMatcher::Only(HostPlatform())));
  std::fputs(fmt::format("unpacking {} ({})...", target.digest, target.media_type).c_str(), stdout);
  const absl::Status status =
      Unpack(*opened.client, image,
             {.snapshotter = opened.snapshotter.name(), .sync_fs = options.sync_fs});
  PrintLine(status.ok() ? "done" : "");
  RETURN_IF_ERROR(status);
  return 0;
}

absl::StatusOr<int> Diff(Session& session, const Options& options) {
  RETURN_IF_ERROR(CheckCount(options, 1, 2));
  ASSIGN_OR_RETURN(Opened opened, Open(session, options));
  ASSIGN_OR_RETURN(const ScopedLease lease, ScopedLease::Make(*opened.client));
  DiffSettings settings = options.diff;
  settings.labels = ParseLabels(options.labels);
  if (options.keep) settings.labels[kRootLabel] = Now();
  settings.source_date_epoch = session.environment().source_date_epoch;
  ASSIGN_OR_RETURN(const Descriptor diff,
                   DiffSnapshots(*opened.client, opened.snapshotter, options.arguments[0],
                                 Argument(options, 1), settings));
  RETURN_IF_ERROR(ReadBlob(*opened.client, diff.digest, [](std::string_view piece) -> absl::Status {
    if (std::fwrite(piece.data(), 1, piece.size(), stdout) != piece.size()) {
      return FromErrno(errno, "write standard output");
    }
    return absl::OkStatus();
  }));
  return 0;
}

using Function = absl::StatusOr<int> (*)(Session&, const Options&);

Action Bind(const std::shared_ptr<Options>& options, Function function) {
  return [options, function](Session& session) { return function(session, *options); };
}

void AddMountFlags(CLI::App& app, Options& options) {
  app.add_option("-t,--target", options.target, "Print mount commands for this path");
  app.add_flag("--mounts", options.mounts, "Print mounts as JSON");
}

void AddReading(CommandGroup& group, const std::shared_ptr<Options>& options) {
  CLI::App& list = group.Add({.names = {"list", "ls"}, .help = "List snapshots"},
                             options->arguments, Bind(options, List));
  options->list.AddTo(list);
  group.Add({.names = {"info"}, .help = "Get info about a snapshot", .arguments = "<key>"},
            options->arguments, Bind(options, Info));
  group.Add({.names = {"tree"}, .help = "Display tree view of snapshot branches"},
            options->arguments, Bind(options, Tree));
  CLI::App& usage =
      group.Add({.names = {"usage"}, .help = "Usage of snapshots", .arguments = "[<key>...]"},
                options->arguments, Bind(options, Usage));
  usage.add_flag("-b", options->bytes, "Display size in bytes");
  CLI::App& mounts = group.Add({.names = {"mounts", "m", "mount"},
                                .help = "Print mount commands for a snapshot",
                                .arguments = "<target> <key>"},
                               options->arguments, Bind(options, Mounts));
  mounts.add_flag("--temp", options->temp, "Have the daemon do what only it can");
  CLI::App& diff = group.Add({.names = {"diff"},
                              .help = "Write the difference of two snapshots, or of one to its "
                                      "parent, to standard output",
                              .arguments = "<idA> [<idB>]"},
                             options->arguments, Bind(options, Diff));
  diff.add_option("--media-type", options->diff.media_type, "Media type of the result")
      ->capture_default_str();
  diff.add_option("--ref", options->diff.ref, "Content upload reference to use");
  diff.add_flag("--keep", options->keep, "Keep the result in the content store");
  AddList(diff, "--label", options->labels, "Label of the result, as foo=bar");
}

void AddWriting(CommandGroup& group, const std::shared_ptr<Options>& options) {
  CLI::App& prepare = group.Add({.names = {"prepare"},
                                 .help = "Prepare a snapshot from a committed snapshot",
                                 .arguments = "<key> [<parent>]"},
                                options->arguments, Bind(options, Prepare));
  AddMountFlags(prepare, *options);
  CLI::App& view = group.Add({.names = {"view"},
                              .help = "Create a read-only snapshot from a committed snapshot",
                              .arguments = "<key> [<parent>]"},
                             options->arguments, Bind(options, View));
  AddMountFlags(view, *options);
  group.Add({.names = {"commit"},
             .help = "Commit an active snapshot into the provided name",
             .arguments = "<key> <active>"},
            options->arguments, Bind(options, Commit));
  group.Add({.names = {"delete", "del", "remove", "rm"},
             .help = "Remove snapshots",
             .arguments = "<key> [<key>...]"},
            options->arguments, Bind(options, Remove));
  group.Add({.names = {"label"},
             .help = "Add labels to a snapshot",
             .arguments = "<key> [<label>=<value>...]"},
            options->arguments, Bind(options, SetLabels));
  CLI::App& unpack = group.Add({.names = {"unpack"},
                                .help = "Unpack the layers of an image's manifest",
                                .arguments = "<digest>"},
                               options->arguments, Bind(options, UnpackManifest));
  unpack.add_flag("--sync-fs", options->sync_fs, "Write layers to disk when they are unpacked");
}

}  // namespace

void AddSnapshots(CommandGroup root, const Environment& environment) {
  auto options = std::make_shared<Options>();
  options->snapshotter = environment.snapshotter;
  CommandGroup group =
      root.AddGroup({.names = {"snapshots", "snapshot"}, .help = "Manage snapshots"});
  group.app().add_option("--snapshotter", options->snapshotter,
                         "Snapshotter name; empty: the default");
  AddReading(group, options);
  AddWriting(group, options);
}

}  // namespace gantry::gctr
