// SPDX-License-Identifier: Apache-2.0
// gctr images import and inspect: images on their way into the daemon, and what they are made of.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cmd/gctr/cli/list_format.h"
#include "cmd/gctr/client/content.h"
#include "cmd/gctr/client/image.h"
#include "cmd/gctr/client/lease.h"
#include "cmd/gctr/client/snapshots.h"
#include "cmd/gctr/commands/commands.h"
#include "cmd/gctr/container/spec.h"
#include "cmd/gctr/image_import.h"
#include "cmd/gctr/output/fd_reader.h"
#include "cmd/gctr/unpack.h"
#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/images/import/folder_archive.h"
#include "core/imagespec/media_types.h"
#include "core/kernel/file.h"

namespace gantry::gctr {
namespace {

namespace images = containerd::services::images::v1;

constexpr int kMaxTreeDepth = 8;

struct Options {
  std::vector<std::string> arguments;
  std::string base_name;
  bool digests = false;
  bool skip_digest_for_named = false;
  std::string index_name;
  bool all_platforms = false;
  std::string platform;
  bool no_unpack = false;
  bool local = false;  // always so
  bool compress_blobs = false;
  bool discard_unpacked_layers = false;
  bool sync_fs = false;
  std::vector<std::string> labels;
  std::string snapshotter;
  bool content = false;
};

absl::Status CheckFlags(const Options& options) {
  if (options.arguments.size() != 1) return InvalidArgument("please provide an archive, or -");
  if (options.skip_digest_for_named && !options.digests) {
    return InvalidArgument("--skip-digest-for-named must be specified with --digests option");
  }
  if (options.discard_unpacked_layers && options.no_unpack) {
    return InvalidArgument("--discard-unpacked-layers and --no-unpack are incompatible options");
  }
  if (options.all_platforms && !options.platform.empty()) {
    return InvalidArgument("--platform and --all-platforms are incompatible options");
  }
  return absl::OkStatus();
}

absl::StatusOr<PlatformMatcher> WantedPlatform(const Options& options) {
  if (options.platform.empty()) return PlatformMatcher::Only(HostPlatform());
  ASSIGN_OR_RETURN(const Platform platform, ParsePlatform(options.platform));
  return PlatformMatcher::Strict(platform);
}

ImportSettings Settings(const Options& options, const PlatformMatcher& platform) {
  ImportSettings settings{.naming = {.prefix = options.base_name,
                                     .allow_other = options.base_name.empty(),
                                     .digests = options.digests,
                                     .skip_digest_for_named = options.skip_digest_for_named},
                          .index_name = options.index_name,
                          .labels = ParseLabels(options.labels),
                          .compress = options.compress_blobs,
                          .layers = options.discard_unpacked_layers ? imagespec::LayerRefs::kDrop
                                                                    : imagespec::LayerRefs::kKeep,
                          .platform = options.all_platforms ? PlatformMatcher::All() : platform};
  if (settings.naming.prefix.empty()) {
    settings.naming.prefix =
        "import-" + absl::FormatTime("%Y-%m-%d", absl::Now(), absl::LocalTimeZone());
  }
  return settings;
}

absl::StatusOr<std::unique_ptr<Reader>> OpenArchive(const std::string& name) {
  if (name == "-") return std::make_unique<FdReader>(STDIN_FILENO, "standard input");
  std::error_code error;  // then opening it tells
  if (std::filesystem::is_directory(name, error)) return gantry::images::OpenFolderArchive(name);
  ASSIGN_OR_RETURN(kernel::UniqueFd file, ToStatusOr(kernel::Open(name, O_RDONLY | O_CLOEXEC)));
  return std::make_unique<FdReader>(std::move(file), name);
}

absl::Status UnpackImported(const Client& client, const images::Image& image,
                            const PlatformMatcher& platform, const UnpackOptions& unpack) {
  std::fputs(fmt::format("unpacking {} ({})...", image.name(), image.target().digest()).c_str(),
             stdout);
  std::fflush(stdout);
  absl::Status status;
  const auto manifest = FindManifest(client, FromProto(image.target()), platform);
  status = manifest.ok() ? Unpack(client, *manifest, unpack) : manifest.status();
  PrintLine(status.ok() ? "done" : "");
  return status;
}

absl::StatusOr<int> Import(Session& session, const Options& options) {
  RETURN_IF_ERROR(CheckFlags(options));
  ASSIGN_OR_RETURN(const PlatformMatcher platform, WantedPlatform(options));
  ASSIGN_OR_RETURN(std::unique_ptr<Reader> archive, OpenArchive(options.arguments[0]));
  ASSIGN_OR_RETURN(Client * client, session.Connect());
  ASSIGN_OR_RETURN(const std::string snapshotter, ResolveSnapshotter(*client, options.snapshotter));
  ASSIGN_OR_RETURN(const ScopedLease lease, ScopedLease::Make(*client));
  ASSIGN_OR_RETURN(const std::vector<images::Image> imported,
                   ImportImages(*client, std::move(archive), Settings(options, platform)));
  for (const images::Image& image : imported) {
    if (options.no_unpack) {
      PrintLine(image.name());
    } else if (image.name() != options.index_name) {
      RETURN_IF_ERROR(UnpackImported(*client, image, platform,
                                     {.snapshotter = snapshotter, .sync_fs = options.sync_fs}));
    }
  }
  return 0;
}

void PrintIndented(const std::string& text, const std::string& prefix) {
  size_t from = 0;
  while (from < text.size()) {
    const size_t end = std::min(text.find('\n', from), text.size());
    PrintLine(prefix + text.substr(from, end - from));
    from = end + 1;
  }
}

absl::Status PrintBody(const Client& client, const Descriptor& blob, const std::string& prefix) {
  const absl::StatusOr<std::string> text =
      LoadBlob(client, blob.digest, imagespec::kMaxDocumentBytes);
  if (absl::IsNotFound(text.status())) return absl::OkStatus();
  if (!text.ok()) return text.status();
  const absl::StatusOr<Json> json = ParseJson(*text, blob.digest);
  if (json.ok()) PrintIndented(DumpJson(*json, 2), prefix);
  return absl::OkStatus();
}

// One line for the blob, its content if asked for, and what it refers to below it.
absl::Status PrintTree(const Client& client, const imagespec::Child& child,
                       const std::string& prefix, bool last, bool with_content, int depth) {
  const Descriptor& blob = child.descriptor;
  std::string line = fmt::format("{} @{} ({})", blob.media_type, blob.digest, blob.size);
  if (child.platform) line += " " + FormatPlatform(*child.platform);
  const bool root = depth == 0;
  PrintLine(root ? line : prefix + (last ? "└── " : "├── ") + line);
  const std::string below = root ? "" : prefix + (last ? "    " : "│   ");
  const std::string& type = blob.media_type;
  const bool document =
      imagespec::IsIndex(type) || imagespec::IsManifest(type) || imagespec::IsConfig(type);
  if (with_content && document) RETURN_IF_ERROR(PrintBody(client, blob, below + "    "));
  if (depth == kMaxTreeDepth) return absl::OkStatus();
  const absl::StatusOr<std::vector<imagespec::Child>> children = ChildrenOf(client, blob);
  if (absl::IsNotFound(children.status())) return absl::OkStatus();  // of another platform
  if (!children.ok()) return children.status();
  for (const imagespec::Child& inner : *children) {
    RETURN_IF_ERROR(
        PrintTree(client, inner, below, &inner == &children->back(), with_content, depth + 1));
  }
  return absl::OkStatus();
}

absl::StatusOr<int> Inspect(Session& session, const Options& options) {
  if (options.arguments.empty()) return InvalidArgument("please provide an image reference");
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  ASSIGN_OR_RETURN(const images::Image image, GetImage(*client, options.arguments[0]));
  PrintLine(image.name());
  RETURN_IF_ERROR(
      PrintTree(*client, {.descriptor = FromProto(image.target())}, "", true, options.content, 0));
  return 0;
}

void AddImportFlags(CLI::App& import, Options& options) {
  import.add_option("--base-name", options.base_name,
                    "Base name for images without one; only names with this prefix are imported");
  import.add_flag("--digests", options.digests, "Create digest images as well");
  import.add_flag("--skip-digest-for-named", options.skip_digest_for_named,
                  "No digest image for images that have a name");
  import.add_option("--index-name", options.index_name, "Image name to keep the index as");
  import.add_flag("--all-platforms", options.all_platforms, "Import content for all platforms");
  import.add_option("--platform", options.platform, "Import content for a specific platform");
  import.add_flag("--no-unpack", options.no_unpack, "Skip unpacking the images");
  import.add_flag("--local", options.local, "Always so");
  import.add_flag("--compress-blobs", options.compress_blobs,
                  "Compress plain layers of Docker archives");
  import.add_flag("--discard-unpacked-layers", options.discard_unpacked_layers,
                  "Let layers be collected once they are unpacked");
  import.add_flag("--sync-fs", options.sync_fs, "Write layers to disk when they are unpacked");
  import.add_option("--snapshotter", options.snapshotter, "Snapshotter name");
  AddList(import, "--label", options.labels, "Label of the images, as foo=bar");
}

}  // namespace

void AddImageTransfers(CommandGroup& images, const Environment& environment) {
  auto options = std::make_shared<Options>();
  options->snapshotter = environment.snapshotter;
  CLI::App& import = images.Add(
      {.names = {"import"},
       .help = "Import images from an OCI layout (a tar or a folder) or a Docker archive",
       .arguments = "<in>|-"},
      options->arguments, [options](Session& session) { return Import(session, *options); });
  AddImportFlags(import, *options);
  CLI::App& inspect = images.Add(
      {.names = {"inspect", "i"}, .help = "Show what an image is made of", .arguments = "<ref>"},
      options->arguments, [options](Session& session) { return Inspect(session, *options); });
  inspect.add_flag("--content", options->content, "Show JSON content");
  images.AddUnserved({.names = {"pull"}, .help = "Pull an image from a remote"});
  images.AddUnserved({.names = {"push"}, .help = "Push an image to a remote"});
  images.AddUnserved({.names = {"export"}, .help = "Export images"});
}

}  // namespace gantry::gctr
