// SPDX-License-Identifier: Apache-2.0
// gctr leases.
#include <memory>
#include <string>
#include <vector>

#include "cmd/gctr/cli/list_format.h"
#include "cmd/gctr/commands/commands.h"
#include "cmd/gctr/container/spec.h"
#include "cmd/gctr/output/units.h"
#include "core/base/status.h"
#include "proto/services/leases/v1/leases.grpc.pb.h"

namespace gantry::gctr {
namespace {

namespace leases = containerd::services::leases::v1;
using Stub = leases::Leases::Stub;
using Leases = Service<leases::Leases>;

struct Options {
  std::vector<std::string> arguments;
  ListFormat list;
  std::string id;
  absl::Duration expires = absl::Hours(24);
  bool sync = false;
};

absl::StatusOr<int> List(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  leases::ListRequest request;
  request.mutable_filters()->Add(options.arguments.begin(), options.arguments.end());
  ASSIGN_OR_RETURN(const leases::ListResponse response, Leases(*client).Call(&Stub::List, request));
  Json json = Json::array();
  Table table({"ID", "CREATED AT", "LABELS"});
  for (const leases::Lease& lease : response.leases()) {
    if (options.list.quiet) PrintLine(lease.id());
    json.push_back({{"id", lease.id()},
                    {"created_at", FormatTime(lease.created_at())},
                    {"labels", Labels(lease.labels().begin(), lease.labels().end())}});
    table.Add({lease.id(), FormatLocalTime(lease.created_at()), JoinPairs(lease.labels(), "-")});
  }
  if (options.list.quiet) return 0;
  if (options.list.json()) {
    PrintJson(json);
  } else {
    table.Print();
  }
  return 0;
}

absl::StatusOr<int> Create(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  leases::CreateRequest request;
  request.set_id(options.id);
  for (const std::string& word : options.arguments) {
    const size_t equals = word.find('=');
    (*request.mutable_labels())[word.substr(0, equals)] =
        equals == std::string::npos ? "" : word.substr(equals + 1);
  }
  if (options.expires > absl::ZeroDuration()) {
    (*request.mutable_labels())["containerd.io/gc.expire"] = absl::FormatTime(
        "%Y-%m-%d%ET%H:%M:%SZ", absl::Now() + options.expires, absl::UTCTimeZone());
  }
  ASSIGN_OR_RETURN(const leases::CreateResponse response,
                   Leases(*client).Call(&Stub::Create, request));
  PrintLine(response.lease().id());
  return 0;
}

absl::StatusOr<int> Remove(Session& session, const Options& options) {
  if (options.arguments.empty()) return InvalidArgument("lease id must be provided");
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  for (const std::string& id : options.arguments) {
    leases::DeleteRequest request;
    request.set_id(id);
    request.set_sync(options.sync && &id == &options.arguments.back());
    RETURN_IF_ERROR(Leases(*client).Call(&Stub::Delete, request).status());
    PrintLine(id);
  }
  return 0;
}

}  // namespace

void AddLeases(CommandGroup root) {
  auto options = std::make_shared<Options>();
  CommandGroup group = root.AddGroup({.names = {"leases"}, .help = "Manage leases"});
  CLI::App& list = group.Add(
      {.names = {"list", "ls"}, .help = "List all active leases", .arguments = "[<filter>...]"},
      options->arguments, [options](Session& session) { return List(session, *options); });
  options->list.AddTo(list, "Print only the lease id");
  CLI::App& create = group.Add(
      {.names = {"create"}, .help = "Create lease", .arguments = "[<label>=<value>...]"},
      options->arguments, [options](Session& session) { return Create(session, *options); });
  create.add_option("--id", options->id, "Id of the lease; made up by default");
  AddDuration(create, "-x,--expires", options->expires, "Expiration (0 never expires)");
  CLI::App& remove = group.Add({.names = {"delete", "del", "remove", "rm"},
                                .help = "Delete a lease",
                                .arguments = "<lease id> [<lease id>...]"},
                               options->arguments,
                               [options](Session& session) { return Remove(session, *options); });
  remove.add_flag("--sync", options->sync,
                  "Synchronously remove leases and all unreferenced resources");
}

}  // namespace gantry::gctr
