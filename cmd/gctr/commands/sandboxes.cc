// SPDX-License-Identifier: Apache-2.0
// gctr sandboxes.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cmd/gctr/cli/list_format.h"
#include "cmd/gctr/commands/commands.h"
#include "cmd/gctr/container/spec.h"
#include "cmd/gctr/output/message_json.h"
#include "cmd/gctr/output/table.h"
#include "cmd/gctr/output/units.h"
#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/json/json.h"
#include "core/kernel/file.h"
#include "proto/services/sandbox/v1/sandbox.grpc.pb.h"

namespace gantry::gctr {
namespace {

namespace sandboxes = containerd::services::sandbox::v1;
using Store = Service<sandboxes::Store>;
using Controller = Service<sandboxes::Controller>;
using StoreStub = sandboxes::Store::Stub;
using ControllerStub = sandboxes::Controller::Stub;

constexpr char kSandboxer[] = "shim";
constexpr char kSpecType[] = "types.containerd.io/opencontainers/runtime-spec/1/Spec";
constexpr size_t kMaxSpecBytes = 16UL << 20;

struct Options {
  std::vector<std::string> arguments;
  std::string runtime = "io.containerd.runc.v2";
  std::vector<std::string> filters;
  bool force = false;
};

absl::StatusOr<int> Run(Session& session, const Options& options) {
  if (options.arguments.size() != 2) {
    return InvalidArgument("a sandbox's configuration and id must be provided");
  }
  auto spec = kernel::ReadFile(options.arguments[0], kMaxSpecBytes);
  if (!spec) return Annotate(ToStatus(spec.error()), "failed to read sandbox config");
  RETURN_IF_ERROR(
      Annotate(ParseJson(*spec, options.arguments[0]).status(), "failed to parse sandbox config"));
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  sandboxes::StoreCreateRequest record;
  record.mutable_sandbox()->set_sandbox_id(options.arguments[1]);
  record.mutable_sandbox()->set_sandboxer(kSandboxer);
  record.mutable_sandbox()->mutable_runtime()->set_name(options.runtime);
  record.mutable_sandbox()->mutable_spec()->set_type_url(kSpecType);
  record.mutable_sandbox()->mutable_spec()->set_value(*std::move(spec));
  RETURN_IF_ERROR(Store(*client).Call(&StoreStub::Create, record).status());
  sandboxes::ControllerCreateRequest create;
  create.set_sandbox_id(options.arguments[1]);
  create.set_sandboxer(kSandboxer);
  *create.mutable_sandbox() = record.sandbox();
  RETURN_IF_ERROR(Annotate(Controller(*client).Call(&ControllerStub::Create, create).status(),
                           "failed to create new sandbox"));
  sandboxes::ControllerStartRequest start;
  start.set_sandbox_id(options.arguments[1]);
  start.set_sandboxer(kSandboxer);
  RETURN_IF_ERROR(Annotate(Controller(*client).Call(&ControllerStub::Start, start).status(),
                           "failed to start"));
  PrintLine(options.arguments[1]);
  return 0;
}

absl::StatusOr<int> List(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  sandboxes::StoreListRequest request;
  request.mutable_filters()->Add(options.filters.begin(), options.filters.end());
  ASSIGN_OR_RETURN(const sandboxes::StoreListResponse response,
                   Store(*client).Call(&StoreStub::List, request));
  Table table({"ID", "CREATED", "RUNTIME"});
  for (const auto& sandbox : response.list()) {
    table.Add({sandbox.sandbox_id(), FormatTime(sandbox.created_at()), sandbox.runtime().name()});
  }
  table.Print();
  return 0;
}

absl::StatusOr<containerd::types::Sandbox> Load(const Client& client, const std::string& id) {
  sandboxes::StoreGetRequest request;
  request.set_sandbox_id(id);
  ASSIGN_OR_RETURN(sandboxes::StoreGetResponse response,
                   Store(client).Call(&StoreStub::Get, request));
  return std::move(*response.mutable_sandbox());
}

absl::Status RemoveOne(const Client& client, const std::string& id, bool force,
                       const Session& session) {
  ASSIGN_OR_RETURN(const containerd::types::Sandbox record, Load(client, id));
  sandboxes::ControllerStopRequest stop;
  stop.set_sandbox_id(id);
  stop.set_sandboxer(record.sandboxer());
  const absl::Status stopped = Controller(client).Call(&ControllerStub::Stop, stop).status();
  if (!stopped.ok() && !force) return Annotate(stopped, "failed to stop sandbox " + id);
  if (!stopped.ok()) session.Report(Annotate(stopped, "failed to stop sandbox " + id));
  sandboxes::ControllerShutdownRequest shutdown;
  shutdown.set_sandbox_id(id);
  shutdown.set_sandboxer(record.sandboxer());
  const absl::Status ended = Controller(client).Call(&ControllerStub::Shutdown, shutdown).status();
  if (!ended.ok() && !absl::IsNotFound(ended)) {
    return Annotate(ended, "failed to shutdown sandbox " + id);
  }
  sandboxes::StoreDeleteRequest forget;
  forget.set_sandbox_id(id);
  const absl::Status forgotten = Store(client).Call(&StoreStub::Delete, forget).status();
  return absl::IsNotFound(forgotten) ? absl::OkStatus() : forgotten;
}

absl::StatusOr<int> Remove(Session& session, const Options& options) {
  if (options.arguments.empty()) return InvalidArgument("sandbox id must be provided");
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  int code = 0;
  for (const std::string& id : options.arguments) {
    const absl::Status removed = RemoveOne(*client, id, options.force, session);
    if (removed.ok()) {
      PrintLine(id);
    } else {
      session.Report(removed);
      code = 1;
    }
  }
  return code;
}

absl::StatusOr<int> Info(Session& session, const Options& options) {
  if (options.arguments.size() != 1) return InvalidArgument("sandbox id must be provided");
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  ASSIGN_OR_RETURN(const containerd::types::Sandbox record, Load(*client, options.arguments[0]));
  Json json = {{"ID", record.sandbox_id()},
               {"Runtime", {{"Name", record.runtime().name()}}},
               {"Labels", Labels(record.labels().begin(), record.labels().end())},
               {"CreatedAt", FormatTime(record.created_at())},
               {"UpdatedAt", FormatTime(record.updated_at())},
               {"Sandboxer", record.sandboxer()}};
  PrintJson(json);
  return 0;
}

}  // namespace

void AddSandboxes(CommandGroup root) {
  auto options = std::make_shared<Options>();
  CommandGroup group =
      root.AddGroup({.names = {"sandboxes", "sandbox", "sb", "s"}, .help = "Manage sandboxes"});
  CLI::App& run =
      group.Add({.names = {"run", "create", "c", "r"},
                 .help = "Run a new sandbox",
                 .arguments = "<pod-config.json> <sandbox-id>"},
                options->arguments, [options](Session& session) { return Run(session, *options); });
  run.add_option("--runtime", options->runtime, "Runtime name")->capture_default_str();
  CLI::App& list =
      group.Add({.names = {"list", "ls"}, .help = "List sandboxes"}, options->arguments,
                [options](Session& session) { return List(session, *options); });
  list.add_option("--filters", options->filters, "Filters of the listing");
  CLI::App& remove = group.Add(
      {.names = {"remove", "rm"}, .help = "Remove sandboxes", .arguments = "<id> [<id>...]"},
      options->arguments, [options](Session& session) { return Remove(session, *options); });
  remove.add_flag("-f,--force", options->force, "Ignore errors of stopping");
  group.Add({.names = {"info", "i"}, .help = "Get info about a sandbox", .arguments = "<id>"},
            options->arguments, [options](Session& session) { return Info(session, *options); });
}

}  // namespace gantry::gctr
