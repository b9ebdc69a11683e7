// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/launcher.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>
#include <string_view>

#include "core/log/log.h"
#include "core/metadata/record.h"
#include "core/runtime/convert.h"
#include "proto/runtime/task/v3/shim.pb.h"
#include "proto/types/introspection.pb.h"

namespace gantry::runtime {
namespace {

namespace fs = std::filesystem;

constexpr size_t kRememberedPrograms = 64;

// What a service manager means for us alone; an OCI runtime would act on it.
constexpr std::array<std::string_view, 5> kNotForShims = {
    "NOTIFY_SOCKET=", "LISTEN_FDS=", "LISTEN_PID=", "LISTEN_FDNAMES=", "WATCHDOG_USEC="};

// What these say on standard input has always been the options alone.
bool SpeaksOnlyLegacy(const fs::path& program) {
  const std::string name = program.filename().string();
  return name.find("shim-runc-v1") != std::string::npos ||
         name.find("shim-runhcs-v1") != std::string::npos;
}

std::string_view Trimmed(std::string_view text) {
  const size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(" \t\r\n") - start + 1);
}

std::string Describe(const kernel::ExitStatus& status) {
  if (status.signal != 0) return fmt::format("killed by signal {}", status.signal);
  return fmt::format("exit status {}", status.code);
}

// OK for a program that succeeded, else what it had to say.
absl::Status Outcome(const absl::StatusOr<CommandOutput>& output, std::string_view said) {
  RETURN_IF_ERROR(output.status());
  if (output->status.success()) return absl::OkStatus();
  const std::string_view text = Trimmed(said);
  if (text.empty()) return Unknown("{}", Describe(output->status));
  return Unknown("{}: {}", text, Describe(output->status));
}

}  // namespace

std::vector<std::string> ShimEnvironment(const Launcher::Options& options, const std::string& ns) {
  std::vector<std::string> environment;
  for (char** variable = ::environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const bool kept = std::none_of(kNotForShims.begin(), kNotForShims.end(),
                                   [&](std::string_view name) { return text.starts_with(name); });
    if (kept) environment.emplace_back(text);
  }
  // Every daemon since 1.7 says 2 here, even those that speak 3.
  for (std::string variable : {std::string("GOMAXPROCS=2"), std::string("MAX_SHIM_VERSION=2"),
                               "TTRPC_ADDRESS=" + options.ttrpc_address,
                               "GRPC_ADDRESS=" + options.grpc_address, "NAMESPACE=" + ns}) {
    environment.push_back(std::move(variable));
  }
  environment.insert(environment.end(), options.environment.begin(), options.environment.end());
  return environment;
}

struct Launcher::StartCall {
  fs::path program;
  ProgramFile file;
  StartParams params;
  fs::path directory;
  absl::Duration budget;
  Done<StartAnswer> done;
  Dialect dialect = Dialect::kModern;
  bool may_retry = false;
  absl::Status first_failure;
};

std::optional<Dialect> Launcher::KnownDialect(const ProgramFile& file) {
  base::MutexLock lock(mutex_);
  for (const auto& [known, dialect] : dialects_) {
    if (known == file) return dialect;
  }
  return std::nullopt;
}

void Launcher::Remember(const ProgramFile& file, Dialect dialect) {
  base::MutexLock lock(mutex_);
  std::erase_if(dialects_, [&](const auto& entry) { return entry.first == file; });
  if (dialects_.size() == kRememberedPrograms) dialects_.pop_front();
  dialects_.emplace_back(file, dialect);
}

Command Launcher::MakeCommand(const std::string& ns, const std::string& id, const fs::path& program,
                              absl::Duration budget) const {
  Command command{.budget = budget};
  command.spawn.program = program.string();
  command.spawn.arguments = {program.string(),
                             "-namespace",
                             ns,
                             "-address",
                             options_.grpc_address,
                             "-publish-binary",
                             options_.daemon_binary.string(),
                             "-id",
                             id};
  command.spawn.environment = ShimEnvironment(options_, ns);
  command.spawn.open_files = options_.open_files;
  return command;
}

void Launcher::Start(const Bundle& bundle, const fs::path& program,
                     std::optional<google::protobuf::Any> options, absl::Duration budget,
                     Done<StartAnswer> done) {
  auto call = std::make_shared<StartCall>(
      StartCall{.program = program,
                .params = {.id = bundle.id(),
                           .ns = bundle.ns(),
                           .debug = options_.debug,
                           .daemon_version = options_.daemon_version,
                           .grpc_address = options_.grpc_address,
                           .ttrpc_address = options_.ttrpc_address,
                           .daemon_binary = options_.daemon_binary.string(),
                           .socket_dir = options_.socket_dir,
                           .options = std::move(options)},
                .directory = bundle.path(),
                .budget = budget,
                .done = std::move(done)});
  steps_.Run([this, call] {
    call->file = IdentifyProgram(call->program);
    if (SpeaksOnlyLegacy(call->program)) {
      call->dialect = Dialect::kLegacy;
    } else if (const std::optional<Dialect> known = KnownDialect(call->file)) {
      call->dialect = *known;
    } else {
      call->may_retry = true;
    }
    RunStart(call);
  });
}

void Launcher::RunStart(std::shared_ptr<StartCall> call) {
  Command command = MakeCommand(call->params.ns, call->params.id, call->program, call->budget);
  if (options_.debug) command.spawn.arguments.emplace_back("-debug");
  command.spawn.arguments.emplace_back("start");
  command.spawn.directory = call->directory.string();
  command.input = EncodeStart(call->params, call->dialect);
  command.merge_errors = true;
  RunCommand(loop_, std::move(command), [this, call](absl::StatusOr<CommandOutput> output) {
    OnStarted(call, std::move(output));
  });
}

void Launcher::OnStarted(const std::shared_ptr<StartCall>& call,
                         absl::StatusOr<CommandOutput> output) {
  const absl::Status outcome = Outcome(output, output.ok() ? output->output : "");
  if (outcome.ok()) {
    Remember(call->file, call->dialect);
    return call->done(ParseStartAnswer(output->output));
  }
  // Only a program that ran and refused may have misread its input.
  if (call->may_retry && output.ok() && output->status.signal == 0) {
    call->may_retry = false;
    call->dialect = Dialect::kLegacy;
    call->first_failure = outcome;
    log::Debug("shim refused to start, asking in the legacy dialect",
               {{"ns", call->params.ns}, {"container", call->params.id}, {"error", outcome}});
    return steps_.Run([this, call] { RunStart(call); });
  }
  if (call->first_failure.ok()) return call->done(outcome);
  // Which of the two refusals is about the container and which about the dialect is unknown here.
  const std::string legacy(outcome.message().data(), outcome.message().size());
  call->done(Annotate(call->first_failure,
                      fmt::format("in the legacy dialect: {}; in the modern one", legacy)));
}

void Launcher::Delete(const Bundle& bundle, const fs::path& program, absl::Duration budget,
                      Done<Exit> done) {
  Command command = MakeCommand(bundle.ns(), bundle.id(), program, budget);
  command.spawn.arguments.insert(command.spawn.arguments.end(),
                                 {"-bundle", bundle.path().string()});
  if (options_.debug) command.spawn.arguments.emplace_back("-debug");
  command.spawn.arguments.emplace_back("delete");
  command.spawn.directory = bundle.path().string();
  auto finish = [ns = bundle.ns(), id = bundle.id(),
                 done = std::move(done)](absl::StatusOr<CommandOutput> output) mutable {
    const absl::Status outcome = Outcome(output, output.ok() ? output->errors : "");
    if (!outcome.ok()) return done(outcome);
    if (const std::string_view warnings = Trimmed(output->errors); !warnings.empty()) {
      log::Warn("shim warned while it cleaned up",
                {{"ns", ns}, {"container", id}, {"shim", warnings}});
    }
    ::containerd::task::v3::DeleteResponse response;
    if (!response.ParseFromString(output->output)) {
      return done(Internal("shim answered delete with something that does not parse"));
    }
    done(FromProto(response));
  };
  steps_.Run([this, command = std::move(command), finish = std::move(finish)]() mutable {
    RunCommand(loop_, std::move(command), std::move(finish));
  });
}

void Launcher::Info(const fs::path& program, const std::optional<google::protobuf::Any>& options,
                    absl::Duration budget, Done<::containerd::types::RuntimeInfo> done) {
  Command command{.budget = budget};
  command.spawn.program = program.string();
  command.spawn.arguments = {program.string(), "-info"};
  if (options) command.input = options->SerializeAsString();
  auto finish = [done = std::move(done)](absl::StatusOr<CommandOutput> output) mutable {
    const absl::Status outcome = Outcome(output, output.ok() ? output->errors : "");
    if (!outcome.ok()) return done(outcome);
    // Shims built on the Rust crate wrap their answer once more, and the wrapping alone parses as
    // an answer with an odd name.
    google::protobuf::Any wrapped;
    const bool is_wrapped = wrapped.ParseFromString(output->output) &&
                            wrapped.type_url().ends_with("containerd.types.RuntimeInfo");
    ::containerd::types::RuntimeInfo info;
    if (info.ParseFromString(is_wrapped ? wrapped.value() : output->output)) {
      return done(std::move(info));
    }
    done(Internal("shim answered -info with something that does not parse"));
  };
  steps_.Run([this, command = std::move(command), finish = std::move(finish)]() mutable {
    RunCommand(loop_, std::move(command), std::move(finish));
  });
}

}  // namespace gantry::runtime
