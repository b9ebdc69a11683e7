// SPDX-License-Identifier: Apache-2.0
// gctr namespaces.
#include <memory>
#include <string>
#include <vector>

#include "cmd/gctr/cli/list_format.h"
#include "cmd/gctr/commands/commands.h"
#include "cmd/gctr/container/spec.h"
#include "cmd/gctr/output/units.h"
#include "core/base/status.h"
#include "proto/services/namespaces/v1/namespace.grpc.pb.h"

namespace gantry::gctr {
namespace {

namespace namespaces = containerd::services::namespaces::v1;
using Stub = namespaces::Namespaces::Stub;
using Namespaces = Service<namespaces::Namespaces>;

struct Options {
  std::vector<std::string> arguments;
  ListFormat list;
  bool cgroup = false;

  Labels labels() const { return ParseLabels({arguments.begin() + 1, arguments.end()}); }
};

absl::StatusOr<int> Create(Session& session, const Options& options) {
  if (options.arguments.empty()) return InvalidArgument("please specify a namespace");
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  namespaces::CreateNamespaceRequest request;
  request.mutable_namespace_()->set_name(options.arguments[0]);
  const Labels labels = options.labels();
  request.mutable_namespace_()->mutable_labels()->insert(labels.begin(), labels.end());
  RETURN_IF_ERROR(Namespaces(*client).Call(&Stub::Create, request).status());
  return 0;
}

absl::StatusOr<int> SetLabels(Session& session, const Options& options) {
  if (options.arguments.empty()) return InvalidArgument("please specify a namespace");
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  for (const auto& [key, value] : options.labels()) {
    namespaces::UpdateNamespaceRequest request;
    request.mutable_namespace_()->set_name(options.arguments[0]);
    (*request.mutable_namespace_()->mutable_labels())[key] = value;
    request.mutable_update_mask()->add_paths("labels." + key);
    RETURN_IF_ERROR(Namespaces(*client).Call(&Stub::Update, request).status());
  }
  return 0;
}

absl::StatusOr<int> List(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  ASSIGN_OR_RETURN(const namespaces::ListNamespacesResponse response,
                   Namespaces(*client).Call(&Stub::List, namespaces::ListNamespacesRequest()));
  Json json = Json::array();
  Table table({"NAME", "LABELS"});
  for (const namespaces::Namespace& ns : response.namespaces()) {
    if (options.list.quiet) PrintLine(ns.name());
    json.push_back(MessageJson(ns));
    table.Add({ns.name(), JoinPairs(ns.labels())});
  }
  if (options.list.quiet) return 0;
  if (options.list.json()) {
    PrintJson(json);
  } else {
    table.Print();
  }
  return 0;
}

absl::StatusOr<int> Remove(Session& session, const Options& options) {
  if (options.cgroup) return Unimplemented("namespaces remove --cgroup: not served yet");
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  absl::Status first;
  for (const std::string& name : options.arguments) {
    namespaces::DeleteNamespaceRequest request;
    request.set_name(name);
    const absl::Status status = Namespaces(*client).Call(&Stub::Delete, request).status();
    if (status.ok() || absl::IsNotFound(status)) {
      PrintLine(name);
    } else if (first.ok()) {
      first = Annotate(status, "unable to delete " + name);
    } else {
      session.Report(Annotate(status, "unable to delete " + name));
    }
  }
  if (!first.ok()) return first;
  return 0;
}

}  // namespace

void AddNamespaces(CommandGroup root) {
  auto options = std::make_shared<Options>();
  CommandGroup group =
      root.AddGroup({.names = {"namespaces", "namespace", "ns"}, .help = "Manage namespaces"});
  group.Add({.names = {"create", "c"},
             .help = "Create a new namespace",
             .arguments = "<name> [<key>=<value>...]"},
            options->arguments, [options](Session& session) { return Create(session, *options); });
  CLI::App& list =
      group.Add({.names = {"list", "ls"}, .help = "List namespaces"}, options->arguments,
                [options](Session& session) { return List(session, *options); });
  options->list.AddTo(list, "Print only the namespace name");
  CLI::App& remove = group.Add({.names = {"remove", "rm"},
                                .help = "Remove one or more namespaces, which must be empty",
                                .arguments = "<name> [<name>...]"},
                               options->arguments,
                               [options](Session& session) { return Remove(session, *options); });
  remove.add_flag("-c,--cgroup", options->cgroup, "Delete the namespace's cgroup (not served yet)");
  group.Add({.names = {"label"},
             .help = "Set and clear labels for a namespace; an empty value clears",
             .arguments = "<name> [<key>=<value>...]"},
            options->arguments,
            [options](Session& session) { return SetLabels(session, *options); });
}

}  // namespace gantry::gctr
