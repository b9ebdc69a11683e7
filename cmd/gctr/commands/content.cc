// SPDX-License-Identifier: Apache-2.0
// gctr content.
#include "cmd/gctr/client/content.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "cmd/gctr/cli/list_format.h"
#include "cmd/gctr/client/lease.h"
#include "cmd/gctr/commands/commands.h"
#include "cmd/gctr/container/spec.h"
#include "cmd/gctr/output/fd_reader.h"
#include "cmd/gctr/output/units.h"
#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/imagespec/gc_labels.h"
#include "core/kernel/file.h"
#include "core/kernel/subprocess.h"
#include "proto/services/leases/v1/leases.grpc.pb.h"

namespace gantry::gctr {
namespace {

namespace content = containerd::services::content::v1;
namespace leases = containerd::services::leases::v1;
using Stub = content::Content::Stub;
using Content = Service<content::Content>;

struct Options {
  std::vector<std::string> arguments;
  ListFormat list;
  int64_t expected_size = 0;
  std::string expected_digest;
  std::string editor;
  std::string validate;
  absl::Duration watch = absl::ZeroDuration();
  std::string root;  // accepted: the daemon knows its root
  bool async = false;
  bool dry = false;
};

absl::StatusOr<std::string> DigestArgument(const Options& options) {
  if (options.arguments.empty()) return InvalidArgument("digest must be provided");
  ASSIGN_OR_RETURN(const Digest digest, Digest::Parse(options.arguments[0]));
  return digest.str();
}

absl::StatusOr<int> Get(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const std::string digest, DigestArgument(options));
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  RETURN_IF_ERROR(ReadBlob(*client, digest, [](std::string_view piece) -> absl::Status {
    if (std::fwrite(piece.data(), 1, piece.size(), stdout) != piece.size()) {
      return FromErrno(errno, "write standard output");
    }
    return absl::OkStatus();
  }));
  return 0;
}

absl::StatusOr<int> Ingest(Session& session, const Options& options) {
  if (options.arguments.empty()) return InvalidArgument("must specify a transaction reference");
  if (!options.expected_digest.empty()) {
    RETURN_IF_ERROR(Digest::Parse(options.expected_digest).status());
  }
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  FdReader input(STDIN_FILENO, "standard input");
  RETURN_IF_ERROR(StoreBlob(*client,
                            {.ref = options.arguments[0],
                             .expected = options.expected_digest,
                             .size = options.expected_size},
                            input)
                      .status());
  return 0;
}

absl::StatusOr<int> Active(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  content::ListStatusesRequest request;
  request.mutable_filters()->Add(options.arguments.begin(), options.arguments.end());
  ASSIGN_OR_RETURN(const content::ListStatusesResponse response,
                   Content(*client).Call(&Stub::ListStatuses, request));
  Json json = Json::array();
  Table table({"REF", "SIZE", "AGE"}, 1, Table::Fill::kTabs);
  for (const content::Status& status : response.statuses()) {
    json.push_back({{"ref", status.ref()},
                    {"offset", status.offset()},
                    {"total", status.total()},
                    {"expected", status.expected()},
                    {"started_at", FormatTime(status.started_at())},
                    {"updated_at", FormatTime(status.updated_at())}});
    table.Add({status.ref(), DecimalSize(status.offset()),
               Age(absl::Now() - ToTime(status.started_at()))});
  }
  if (options.list.json()) {
    PrintJson(json);
  } else {
    table.Print();
  }
  return 0;
}

absl::Status WalkBlobs(const Client& client, const std::vector<std::string>& filters,
                       absl::FunctionRef<absl::Status(const content::Info&)> visit) {
  content::ListContentRequest request;
  request.mutable_filters()->Add(filters.begin(), filters.end());
  return Content(client).ForEach(&Stub::List, request,
                                 [&](const content::ListContentResponse& response) -> absl::Status {
                                   for (const content::Info& info : response.info())
                                     RETURN_IF_ERROR(visit(info));
                                   return absl::OkStatus();
                                 });
}

absl::StatusOr<int> List(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  Json json = Json::array();
  Table table({"DIGEST", "SIZE", "AGE", "LABELS"}, 1, Table::Fill::kTabs);
  RETURN_IF_ERROR(WalkBlobs(*client, options.arguments, [&](const content::Info& info) {
    if (options.list.quiet) {
      PrintLine(info.digest());
      return absl::OkStatus();
    }
    json.push_back({{"digest", info.digest()},
                    {"size", info.size()},
                    {"labels", Labels(info.labels().begin(), info.labels().end())},
                    {"created_at", FormatTime(info.created_at())},
                    {"updated_at", FormatTime(info.updated_at())}});
    table.Add({info.digest(), DecimalSize(info.size()),
               Age(absl::Now() - ToTime(info.created_at())), JoinPairs(info.labels(), "-")});
    return absl::OkStatus();
  }));
  if (options.list.quiet) return 0;
  if (options.list.json()) {
    PrintJson(json);
  } else {
    table.Print();
  }
  return 0;
}

absl::StatusOr<int> Remove(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  int exit_status = 0;
  for (const std::string& digest : options.arguments) {
    absl::Status status = Digest::Parse(digest).status();
    if (status.ok()) {
      content::DeleteContentRequest request;
      request.set_digest(digest);
      status = Content(*client).Call(&Stub::Delete, request).status();
      if (absl::IsNotFound(status)) continue;
    }
    if (status.ok()) {
      PrintLine(digest);
    } else {
      session.Report(Annotate(status, "could not delete " + digest));
      exit_status = 1;
    }
  }
  return exit_status;
}

absl::StatusOr<int> SetLabels(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const std::string digest, DigestArgument(options));
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  const Labels labels = ParseLabels({options.arguments.begin() + 1, options.arguments.end()});
  ASSIGN_OR_RETURN(const content::Info info,
                   labels.empty() ? BlobInfo(*client, digest)
                                  : SetBlobLabels(*client, digest, {labels.begin(), labels.end()}));
  PrintLine(JoinPairs(info.labels()));
  return 0;
}

// The editor is the user's own shell command; the file's name is an argument of it.
absl::Status RunEditor(const std::string& editor, const std::string& file) {
  kernel::SpawnOptions spawn{
      .program = "/bin/sh",
      .arguments = {"sh", "-c", editor + " \"$@\"", "editor", file},
      .stdio = {kernel::Stdio::Inherit(), kernel::Stdio::Inherit(), kernel::Stdio::Inherit()}};
  ASSIGN_OR_RETURN(kernel::Subprocess process, ToStatusOr(kernel::Subprocess::Spawn(spawn)));
  ASSIGN_OR_RETURN(const kernel::ExitStatus ended, ToStatusOr(process.Wait()));
  if (!ended.success()) {
    return FailedPrecondition("editor: exit status {}", ended.AsShellCode());
  }
  return absl::OkStatus();
}

absl::Status SaveBlob(const Client& client, const std::string& digest, int fd,
                      const std::string& name) {
  return ReadBlob(client, digest, [&](std::string_view piece) {
    return ToStatus(kernel::WriteAll(fd, piece, name));
  });
}

absl::StatusOr<int> Edit(Session& session, const Options& options) {
  if (!options.validate.empty()) {
    return Unimplemented("content edit --validate: not served yet");
  }
  if (options.editor.empty()) return InvalidArgument("editor is required");
  ASSIGN_OR_RETURN(const std::string digest, DigestArgument(options));
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  std::string path = session.environment().temporary_directory + "/edit-XXXXXX";
  kernel::UniqueFd file(::mkostemp(path.data(), O_CLOEXEC));
  if (!file) return FromErrno(errno, "mkostemp " + path);
  const absl::Cleanup remove = [&] { ::unlink(path.c_str()); };
  RETURN_IF_ERROR(SaveBlob(*client, digest, file.get(), path));
  file.Reset();
  RETURN_IF_ERROR(RunEditor(options.editor, path));
  // Editors put a new file in the old one's place.
  ASSIGN_OR_RETURN(kernel::UniqueFd edited, ToStatusOr(kernel::Open(path, O_RDONLY | O_CLOEXEC)));
  FdReader reader(std::move(edited), path);
  ASSIGN_OR_RETURN(const auto stored,
                   StoreBlob(*client, {.ref = "edit-" + digest, .expected = ""}, reader));
  PrintLine(stored.first.str());
  return 0;
}

// "containerd.io/gc.ref.content.l.N", and ".N" of old clients but for ".0", which was the config.
bool IsLayerReference(const std::string& key) {
  const std::string prefix = std::string(imagespec::kContentRefPrefix) + ".";
  if (!key.starts_with(prefix)) return false;
  const std::string rest = key.substr(prefix.size());
  if (rest.starts_with("l.")) return true;
  return rest != "0" &&
         std::ranges::all_of(rest, [](unsigned char c) { return std::isdigit(c) != 0; });
}

// Deleting a lease synchronously collects what nothing refers to any more.
absl::Status Collect(const Client& client, bool sync) {
  Service<leases::Leases> service(client);
  leases::CreateRequest create;
  (*create.mutable_labels())["containerd.io/gc.expire"] =
      absl::FormatTime("%Y-%m-%d%ET%H:%M:%SZ", absl::Now() + absl::Hours(1), absl::UTCTimeZone());
  ASSIGN_OR_RETURN(const leases::CreateResponse response,
                   service.Call(&leases::Leases::Stub::Create, create));
  leases::DeleteRequest remove;
  remove.set_id(response.lease().id());
  remove.set_sync(sync);
  return service.Call(&leases::Leases::Stub::Delete, remove).status();
}

absl::StatusOr<int> PruneReferences(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  std::vector<std::pair<std::string, std::vector<std::pair<std::string, std::string>>>> stale;
  RETURN_IF_ERROR(WalkBlobs(*client, {}, [&](const content::Info& info) {
    std::vector<std::pair<std::string, std::string>> labels;
    for (const auto& [key, value] : info.labels()) {
      if (!IsLayerReference(key)) continue;
      if (options.dry) PrintLine(absl::StrCat(info.digest(), ": ", key, "=", value));
      labels.emplace_back(key, "");
    }
    if (!labels.empty()) stale.emplace_back(info.digest(), std::move(labels));
    return absl::OkStatus();
  }));
  if (options.dry) return 0;
  for (const auto& [digest, labels] : stale) {
    RETURN_IF_ERROR(SetBlobLabels(*client, digest, labels).status());
  }
  RETURN_IF_ERROR(Collect(*client, !options.async));
  return 0;
}

using Function = absl::StatusOr<int> (*)(Session&, const Options&);

Action Bind(const std::shared_ptr<Options>& options, Function function) {
  return [options, function](Session& session) { return function(session, *options); };
}

void AddReading(CommandGroup& group, const std::shared_ptr<Options>& options) {
  CLI::App& active = group.Add(
      {.names = {"active"}, .help = "Display active transfers", .arguments = "[<filter>]"},
      options->arguments, Bind(options, Active));
  AddDuration(active, "-t,--timeout", options->watch, "Accepted for compatibility");
  active.add_option("--root", options->root, "Accepted for compatibility");
  options->list.AddTo(active);
  CLI::App& list = group.Add({.names = {"list", "ls"},
                              .help = "List all blobs in the store",
                              .arguments = "[<filter>...]"},
                             options->arguments, Bind(options, List));
  options->list.AddTo(list, "Print only the blob digest");
  group.Add({.names = {"get"}, .help = "Write a blob to standard output", .arguments = "<digest>"},
            options->arguments, Bind(options, Get));
}

void AddWriting(CommandGroup& group, const std::shared_ptr<Options>& options) {
  CLI::App& ingest = group.Add({.names = {"ingest"},
                                .help = "Accept content from standard input into the store",
                                .arguments = "<key>"},
                               options->arguments, Bind(options, Ingest));
  ingest.add_option("--expected-size", options->expected_size, "Validate against provided size");
  ingest.add_option("--expected-digest", options->expected_digest,
                    "Verify content against expected digest");
  CLI::App& edit = group.Add(
      {.names = {"edit"}, .help = "Edit a blob and print the new digest", .arguments = "<digest>"},
      options->arguments, Bind(options, Edit));
  edit.add_option("--editor", options->editor, "Editor to use ($VISUAL, $EDITOR)");
  edit.add_option("--validate", options->validate, "Validate the result (not served yet)");
  group.Add({.names = {"delete", "del", "remove", "rm"},
             .help = "Permanently delete one or more blobs",
             .arguments = "<digest> [<digest>...]"},
            options->arguments, Bind(options, Remove));
  group.Add({.names = {"label"},
             .help = "Add labels to content",
             .arguments = "<digest> [<label>=<value>...]"},
            options->arguments, Bind(options, SetLabels));
  CommandGroup prune =
      group.AddGroup({.names = {"prune"}, .help = "Prunes content from the content store"});
  CLI::App& references = prune.Add(
      {.names = {"references"}, .help = "Drop labels that keep layers from being collected"},
      options->arguments, Bind(options, PruneReferences));
  references.add_flag("--async", options->async, "Let garbage be collected later");
  references.add_flag("--dry", options->dry, "Just show what would be dropped");
}

}  // namespace

void AddContent(CommandGroup root, const Environment& environment) {
  auto options = std::make_shared<Options>();
  options->editor = environment.editor;
  CommandGroup group = root.AddGroup({.names = {"content"}, .help = "Manage content"});
  AddReading(group, options);
  AddWriting(group, options);
  group.AddUnserved({.names = {"fetch"}, .help = "Fetch all content for an image"});
  group.AddUnserved({.names = {"fetch-object"}, .help = "Retrieve objects from a remote"});
  group.AddUnserved({.names = {"fetch-blob"}, .help = "Retrieve blobs from a remote"});
  group.AddUnserved({.names = {"push-object"}, .help = "Push an object to a remote"});
}

}  // namespace gantry::gctr
