// SPDX-License-Identifier: Apache-2.0
// gctr shim: a shim asked directly, past the daemon, which does not learn of what is changed so.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "cmd/gctr/cli/list_format.h"
#include "cmd/gctr/client/shim_client.h"
#include "cmd/gctr/commands/commands.h"
#include "cmd/gctr/output/message_json.h"
#include "cmd/gctr/process/process_io.h"
#include "cmd/gctr/process/signal_source.h"
#include "cmd/gctr/process/terminal.h"
#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/kernel/file.h"
#include "core/oci/default_spec.h"
#include "proto/runtime/task/v3/shim.pb.h"

namespace gantry::gctr {
namespace {

// Those of v2 have the same fields under the same numbers.
namespace task = containerd::task::v3;
using google::protobuf::Empty;

constexpr size_t kMaxSpecBytes = 4UL << 20;

struct Options {
  std::vector<std::string> arguments;
  std::string id;
  std::string address;
  int api_version = 0;  // the one that the shim has told
  std::string task_id;
  std::string spec;
  std::string in;
  std::string out;
  std::string err;
  bool tty = false;
  bool attach = false;
};

absl::StatusOr<ShimClient> Connect(const Session& session, const Options& options) {
  if (options.id.empty() && options.address.empty()) {
    return InvalidArgument("shim ID (--id) or address (--shim-address) must be specified");
  }
  const ClientOptions& client = session.options();
  ShimEndpoint endpoint{.address = options.address};
  if (endpoint.address.empty()) {
    ASSIGN_OR_RETURN(endpoint, FindShim(client.address, client.ns, options.id));
  } else if (endpoint.address.starts_with('/')) {
    endpoint.address.insert(0, "unix://");
  }
  if (options.api_version != 0) endpoint.version = options.api_version;
  return ShimClient::Connect(endpoint, client.ns, absl::Now() + client.timeout);
}

// The container that is meant: the argument, else the one whose shim it is.
absl::StatusOr<std::string> ContainerId(const Options& options) {
  std::string id = options.arguments.empty() ? options.id : options.arguments[0];
  if (id.empty()) return InvalidArgument("container id must be provided");
  return id;
}

absl::StatusOr<int> State(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(ShimClient shim, Connect(session, options));
  task::StateRequest request;
  request.set_id(options.task_id.empty() ? options.id : options.task_id);
  ASSIGN_OR_RETURN(const auto state, shim.Call<task::StateResponse>("State", request));
  PrintJson(MessageJson(state));
  return 0;
}

absl::StatusOr<int> Start(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const std::string id, ContainerId(options));
  ASSIGN_OR_RETURN(ShimClient shim, Connect(session, options));
  task::StartRequest request;
  request.set_id(id);
  RETURN_IF_ERROR(shim.Call<task::StartResponse>("Start", request).status());
  return 0;
}

absl::StatusOr<int> Delete(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const std::string id, ContainerId(options));
  ASSIGN_OR_RETURN(ShimClient shim, Connect(session, options));
  task::DeleteRequest request;
  request.set_id(id);
  ASSIGN_OR_RETURN(const auto deleted, shim.Call<task::DeleteResponse>("Delete", request));
  PrintLine(fmt::format("container deleted and returned exit status {}", deleted.exit_status()));
  return 0;
}

absl::StatusOr<int> Shutdown(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(ShimClient shim, Connect(session, options));
  task::ShutdownRequest request;
  request.set_id(options.id);
  RETURN_IF_ERROR(shim.Call<Empty>("Shutdown", request).status());
  return 0;
}

task::ExecProcessRequest ExecRequest(const Options& options, const std::string& spec) {
  task::ExecProcessRequest request;
  request.set_id(options.id);
  request.set_exec_id(options.arguments[0]);
  request.set_terminal(options.tty);
  request.mutable_spec()->set_type_url(std::string(oci::kProcessTypeUrl));
  request.mutable_spec()->set_value(spec);
  return request;
}

template <typename Request>
Request OfExec(const Options& options) {
  Request request;
  request.set_id(options.id);
  request.set_exec_id(options.arguments[0]);
  return request;
}

absl::StatusOr<uint32_t> StartExec(ShimClient& shim, const Options& options) {
  ASSIGN_OR_RETURN(const auto started,
                   shim.Call<task::StartResponse>("Start", OfExec<task::StartRequest>(options)));
  return started.pid();
}

void Resize(ShimClient& shim, const Options& options, const RawTerminal& terminal) {
  const absl::StatusOr<RawTerminal::Size> size = terminal.size();
  if (!size.ok()) return;
  auto request = OfExec<task::ResizePtyRequest>(options);
  request.set_width(size->width);
  request.set_height(size->height);
  shim.Call<Empty>("ResizePty", request).status().IgnoreError();  // it may have ended
}

// Runs a started process until it ends; signals are gctr's own. The exit status.
absl::StatusOr<uint32_t> StayAttached(ShimClient& shim, const Options& options, ProcessIo& io,
                                      SignalSource& signals) {
  std::optional<RawTerminal> terminal;
  if (options.tty) {
    ASSIGN_OR_RETURN(RawTerminal raw, RawTerminal::Enter());
    terminal.emplace(std::move(raw));
    Resize(shim, options, *terminal);
  }
  const auto close = [&shim, &options] {
    auto request = OfExec<task::CloseIORequest>(options);
    request.set_stdin(true);
    shim.Call<Empty>("CloseIO", request).status().IgnoreError();  // it may have ended
  };
  RETURN_IF_ERROR(io.StartInput(close, terminal ? &*terminal : nullptr));
  const auto ended = shim.Call<task::WaitResponse>("Wait", OfExec<task::WaitRequest>(options),
                                                   absl::InfiniteFuture());
  io.StopInput();
  RETURN_IF_ERROR(ended.status());
  signals.Take();
  io.FinishOutput(signals);
  return ended->exit_status();
}

absl::StatusOr<int> ExecAttached(const Session& session, const Options& options,
                                 const std::string& spec) {
  ASSIGN_OR_RETURN(SignalSource signals, SignalSource::Make());
  ASSIGN_OR_RETURN(ShimClient shim, Connect(session, options));
  ASSIGN_OR_RETURN(ProcessIo io, ProcessIo::Make({.terminal = options.tty}, options.arguments[0]));
  task::ExecProcessRequest request = ExecRequest(options, spec);
  request.set_stdin(io.in());
  request.set_stdout(io.out());
  request.set_stderr(io.err());
  RETURN_IF_ERROR(shim.Call<Empty>("Exec", request).status());
  RETURN_IF_ERROR(io.StartOutput());
  absl::StatusOr<uint32_t> status = StartExec(shim, options);
  if (status.ok()) status = StayAttached(shim, options, io, signals);
  const absl::Status deleted =
      shim.Call<task::DeleteResponse>("Delete", OfExec<task::DeleteRequest>(options)).status();
  RETURN_IF_ERROR(status.status());
  RETURN_IF_ERROR(deleted);
  return static_cast<int>(*status);
}

absl::StatusOr<int> Exec(Session& session, const Options& options) {
  if (options.arguments.empty()) return InvalidArgument("exec id must be provided");
  if (options.spec.empty()) return InvalidArgument("process specification (--spec) must be given");
  if (options.id.empty()) return InvalidArgument("container id (--id) must be provided");
  if (options.attach && !(options.in.empty() && options.out.empty() && options.err.empty())) {
    return InvalidArgument("--attach has streams of its own: no --stdin, --stdout and --stderr");
  }
  const auto spec = kernel::ReadFile(options.spec, kMaxSpecBytes);
  if (!spec) return ToStatus(spec.error());
  if (options.attach) return ExecAttached(session, options, *spec);
  ASSIGN_OR_RETURN(ShimClient shim, Connect(session, options));
  task::ExecProcessRequest request = ExecRequest(options, *spec);
  request.set_stdin(options.in);
  request.set_stdout(options.out);
  request.set_stderr(options.err);
  RETURN_IF_ERROR(shim.Call<Empty>("Exec", request).status());
  ASSIGN_OR_RETURN(const uint32_t pid, StartExec(shim, options));
  PrintLine(fmt::format("exec running with pid {}", pid));
  return 0;
}

absl::StatusOr<int> Pprof(const Session&, const Options&) {
  return Unimplemented("shim pprof: shims have no profiles of Go programs; use perf");
}

void AddApiVersion(CLI::App& app, Options& options) {
  app.add_option("--api-version", options.api_version,
                 "Generation of the shim's task service, 2 or 3 (default: as the shim says)");
}

void AddExec(CommandGroup& group, const std::shared_ptr<Options>& options) {
  CLI::App& exec = group.Add({.names = {"exec"},
                              .help = "Exec a new process in the task's container",
                              .arguments = "EXEC-ID"},
                             options->arguments,
                             [options](Session& session) { return Exec(session, *options); });
  exec.add_option("--spec", options->spec, "File with the OCI process (required)");
  exec.add_option("--stdin", options->in, "Path of the fifo for standard input");
  exec.add_option("--stdout", options->out, "Path of the fifo for standard output");
  exec.add_option("--stderr", options->err, "Path of the fifo for standard error");
  exec.add_flag("-t,--tty", options->tty, "Allocate a terminal");
  exec.add_flag("-a,--attach", options->attach,
                "Be the process's streams until it ends, and end with its exit status");
}

}  // namespace

void AddShim(CommandGroup root) {
  auto options = std::make_shared<Options>();
  CommandGroup group = root.AddGroup({.names = {"shim"}, .help = "Interact with a shim directly"});
  group.app().add_option("--id", options->id, "Container whose shim it is");
  group.app().add_option("--shim-address", options->address,
                         "Address of the shim (default: from the bundle of --id)");
  const auto add = [&](const CommandInfo& info, auto function) -> CLI::App& {
    return group.Add(info, options->arguments,
                     [options, function](Session& session) { return function(session, *options); });
  };
  add({.names = {"delete"}, .help = "Delete a container with a task", .arguments = "[CONTAINER]"},
      Delete);
  AddExec(group, options);
  add({.names = {"pprof"}, .help = "Profiles of a shim (there are none)", .arguments = "[NAME]"},
      Pprof);
  AddApiVersion(
      add({.names = {"shutdown"}, .help = "Shut the shim down if it has no container"}, Shutdown),
      *options);
  add({.names = {"start"}, .help = "Start a container with a task", .arguments = "[CONTAINER]"},
      Start);
  CLI::App& state =
      add({.names = {"state"}, .help = "Get the state of the main process of a task"}, State);
  state.add_option("-t,--task-id", options->task_id, "Task to ask about (default: --id)");
  AddApiVersion(state, *options);
}

}  // namespace gantry::gctr
