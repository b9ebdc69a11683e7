// SPDX-License-Identifier: Apache-2.0
#include "shim/runtime/oci_runtime.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <string_view>

#include "core/kernel/file.h"
#include "shim/json/runtime_log.h"

namespace gantry::shim {
namespace {

std::string Trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t start = text.find_first_not_of(kSpace);
  if (start == std::string_view::npos) return {};
  return std::string(text.substr(start, text.find_last_not_of(kSpace) - start + 1));
}

std::string HowItEnded(const kernel::ExitStatus& status) {
  if (status.signal == 0) return "exit status " + std::to_string(status.code);
  const char* name = ::sigdescr_np(status.signal);
  std::string text = name != nullptr ? name : "signal " + std::to_string(status.signal);
  // In the spelling of Go programs.
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return "signal: " + text;
}

void LeaveRecord(const std::string& bundle, std::string_view record) {
  // A full disk must not turn one error into another.
  kernel::WriteFileAtomic(bundle + "/log.json", std::string(record) + "\n", 0644,
                          kernel::Durability::kNone)
      .Ignore();
}

}  // namespace

kernel::Result<RuntimeCommand> OciRuntime::Spawn(Arguments arguments, Streams streams,
                                                 Time deadline) {
  auto log = CommandLog::Create(bundle_);
  if (!log) return log.error();
  CommandOptions options;
  options.spawn.arguments = {settings_.binary};
  const RuntimeGlobals globals{.root = settings_.root,
                               .log = log->path(),
                               .debug = settings_.debug,
                               .systemd_cgroup = settings_.systemd_cgroup};
  for (const Arguments& part : {GlobalArguments(globals), arguments}) {
    options.spawn.arguments.insert(options.spawn.arguments.end(), part.begin(), part.end());
  }
  options.spawn.environment = settings_.environment;
  options.spawn.stdio = streams.stdio;
  options.spawn.parent_death_signal = SIGKILL;
  options.spawn.new_session = true;
  options.input = std::move(streams.input);
  options.deadline = deadline;
  auto command = Execute(std::move(options));
  if (!command) return command.error();
  return RuntimeCommand(*std::move(command), *std::move(log), bundle_);
}

kernel::Result<Command> OciRuntime::Execute(CommandOptions options) {
  options.spawn.program = image_.PathOf(settings_.binary);
  if (options.spawn.program != settings_.binary) {
    auto command = Command::Spawn(loop_, children_, options);
    if (command) return command;
    image_.Refuse();
    options.spawn.program = settings_.binary;
  }
  return Command::Spawn(loop_, children_, std::move(options));
}

bool OciRuntime::Knows(const std::string& id) const {
  return ::access((settings_.root + "/" + id).c_str(), F_OK) == 0;
}

Co<RuntimeOutcome> OciRuntime::Run(Arguments arguments, Time deadline,
                                   std::optional<std::string> input) {
  Streams streams;
  if (input) {
    streams.stdio[0] = kernel::Stdio::Pipe();
    streams.input = *std::move(input);
  }
  auto command = Spawn(std::move(arguments), std::move(streams), deadline);
  if (!command) co_return RuntimeOutcome{.error = command.error().Text()};
  co_return co_await (*std::move(command)).Finish();
}

Co<RuntimeOutcome> RuntimeCommand::Finish() && {
  // `this` may go at the first wait.
  const CommandLog log = std::move(log_);
  const std::string bundle = std::move(bundle_);
  const CommandOutcome done = co_await std::move(command_).Finish();
  RuntimeOutcome outcome{.ok = done.exit.status.success(),
                         .timed_out = done.timed_out,
                         .killed = done.exit.status.signal != 0};
  outcome.output = done.output + done.error_output;
  if (outcome.ok) co_return outcome;
  const std::string tail = log.Tail();
  const auto logged = LastRuntimeError(tail);
  if (logged) LeaveRecord(bundle, logged->record);
  if (done.timed_out) {
    outcome.error = "the runtime did not end in time and was killed";
  } else if (logged) {
    outcome.error = logged->message;
  } else if (auto written = Trimmed(done.error_output); !written.empty()) {
    outcome.error = std::move(written);
  } else {
    outcome.error = HowItEnded(done.exit.status);
  }
  co_return outcome;
}

}  // namespace gantry::shim
