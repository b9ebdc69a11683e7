// SPDX-License-Identifier: Apache-2.0
// gctr version, info and deprecations: what client and daemon say of themselves.
#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "cmd/gctr/cli/list_format.h"
#include "cmd/gctr/commands/commands.h"
#include "cmd/gctr/output/units.h"
#include "cmd/gctr/version.h"
#include "core/base/status.h"
#include "proto/services/introspection/v1/introspection.grpc.pb.h"
#include "proto/services/version/v1/version.grpc.pb.h"

namespace gantry::gctr {
namespace {

namespace introspection = containerd::services::introspection::v1;
namespace version = containerd::services::version::v1;

struct Options {
  std::vector<std::string> arguments;
  ListFormat list;
};

absl::StatusOr<introspection::ServerResponse> Server(const Client& client) {
  return Service<introspection::Introspection>(client).Call(
      &introspection::Introspection::Stub::Server, google::protobuf::Empty());
}

absl::StatusOr<int> PrintVersion(Session& session) {
  PrintLine(fmt::format("Client:\n  Version:  {}\n", kVersion));
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  ASSIGN_OR_RETURN(const version::VersionResponse server,
                   Service<version::Version>(*client).Call(&version::Version::Stub::Version,
                                                           google::protobuf::Empty()));
  PrintLine(
      fmt::format("Server:\n  Version:  {}\n  Revision: {}", server.version(), server.revision()));
  ASSIGN_OR_RETURN(const introspection::ServerResponse instance, Server(*client));
  PrintLine("  UUID: " + instance.uuid());
  return 0;
}

absl::StatusOr<int> PrintInfo(Session& session) {
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  ASSIGN_OR_RETURN(const introspection::ServerResponse server, Server(*client));
  PrintJson({{"server", MessageJson(server)}});
  return 0;
}

absl::StatusOr<int> ListDeprecations(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  ASSIGN_OR_RETURN(const introspection::ServerResponse server, Server(*client));
  if (options.list.json()) {
    Json list = Json::array();
    for (const auto& warning : server.deprecations()) list.push_back(MessageJson(warning));
    PrintJson(list);
    return 0;
  }
  if (server.deprecations().empty()) return 0;
  Table table({"ID", "LAST OCCURRENCE", "MESSAGE"});
  for (const auto& warning : server.deprecations()) {
    table.Add({warning.id(), FormatTime(warning.last_occurrence()), warning.message()});
  }
  table.Print();
  return 0;
}

}  // namespace

void AddInfo(CommandGroup root) {
  auto options = std::make_shared<Options>();
  root.Add({.names = {"version"}, .help = "Print the client and server versions"},
           options->arguments, [options](Session& session) { return PrintVersion(session); });
  root.Add({.names = {"info"}, .help = "Print the server info"}, options->arguments,
           [options](Session& session) { return PrintInfo(session); });
  CommandGroup group = root.AddGroup({.names = {"deprecations"}, .help = "Deprecation warnings"});
  CLI::App& list = group.Add(
      {.names = {"list", "ls"}, .help = "Print warnings of what the daemon finds outdated"},
      options->arguments,
      [options](Session& session) { return ListDeprecations(session, *options); });
  options->list.AddTo(list);
}

}  // namespace gantry::gctr
