// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/cli/command_line.h"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <cstdio>
#include <string_view>
#include <utility>

#include "core/base/status.h"

namespace gantry::gctr {
namespace {

// "--quiet" of "--quiet=false", "-n" of "-nNAME"; empty for what is no flag.
std::string FlagName(const std::string& argument) {
  if (argument.size() < 2 || argument[0] != '-' || argument == "--") return "";
  if (argument[1] != '-') return argument.substr(0, 2);
  return argument.substr(0, argument.find('='));
}

bool TakesValue(const CLI::Option* flag) {
  return flag != nullptr && flag->get_items_expected_max() > 0;
}

// Whether the value of the flag is the next argument.
bool TakesNext(const CLI::App& app, const CLI::Option& flag, const std::string& argument) {
  if (argument[1] == '-') return TakesValue(&flag) && argument.find('=') == std::string::npos;
  if (argument.size() == 2) return TakesValue(&flag);
  // "-nNAME", or letters of which only the last can take one.
  return !TakesValue(&flag) &&
         TakesValue(app.get_option_no_throw(std::string("-") + argument.back()));
}

// Moves the flag at `at`, and its value if that stands apart, to `out`.
size_t TakeFlag(const CLI::App& app, const CLI::Option& flag,
                const std::vector<std::string>& arguments, size_t at,
                std::vector<std::string>& out) {
  const std::string& argument = arguments[at];
  const bool short_with_value = argument[1] != '-' && argument.size() > 2 && argument[2] == '=';
  if (TakesValue(&flag) && (argument.ends_with('=') || short_with_value)) {
    // CLI11 takes "--name=" for a flag without a value, and the value of "-n=x" to be "=x".
    const size_t equals = argument.find('=');
    out.push_back(argument.substr(0, equals));
    out.push_back(argument.substr(equals + 1));
    return 1;
  }
  out.push_back(argument);
  if (!TakesNext(app, flag, argument) || at + 1 == arguments.size()) return 1;
  out.push_back(arguments[at + 1]);
  return 2;
}

CLI::App* AddNamed(CLI::App& parent, const CommandInfo& info) {
  CLI::App* app = parent.add_subcommand(info.names.front(), info.help);
  for (size_t i = 1; i < info.names.size(); ++i) app->alias(info.names[i]);
  if (!info.arguments.empty()) app->footer("Arguments: " + info.arguments);
  return app;
}

std::string PathOf(const CLI::App& app) {
  const CLI::App* parent = app.get_parent();
  if (parent == nullptr) return "";
  const std::string above = PathOf(*parent);
  return above.empty() ? app.get_name() : above + " " + app.get_name();
}

}  // namespace

CommandGroup CommandGroup::AddGroup(const CommandInfo& info) {
  CLI::App* app = AddNamed(app_, info);
  app->require_subcommand(1);
  return {line_, *app};
}

CLI::App& CommandGroup::Add(const CommandInfo& info, std::vector<std::string>& arguments,
                            Action action) {
  CLI::App* app = AddNamed(app_, info);
  line_.commands_[app] = {.action = std::move(action),
                          .arguments = &arguments,
                          .takes_arguments = !info.arguments.empty(),
                          .program_from = info.program_from};
  return *app;
}

void CommandGroup::AddUnserved(const CommandInfo& info) {
  CLI::App* app = AddNamed(app_, info);
  app->description(info.help + " (not served yet)");
  const std::string path = PathOf(*app);
  line_.commands_[app] = {.action = [path](Session&) -> absl::StatusOr<int> {
    return Unimplemented("{}: not served yet", path);
  }};
}

CommandLine::CommandLine(const std::string& version)
    : root_("A client for gantryd and containerd, for debugging and administration.", "gctr") {
  root_.require_subcommand(1);
  root_.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);  // inherited
  root_.set_version_flag("-v,--version", "gctr " + version, "Print the version");
}

const CommandLine::Command* CommandLine::Find(const Parts& parts) const {
  const auto found = commands_.find(parts.path.back());
  return found == commands_.end() ? nullptr : &found->second;
}

CommandLine::Parts CommandLine::TakeApart(const std::vector<std::string>& arguments) const {
  Parts parts{.path = {&root_}, .flags = {{}}, .arguments = {}};
  size_t at = 0;
  while (at < arguments.size()) {
    const std::string& argument = arguments[at];
    const Command* command = Find(parts);
    const bool program = command != nullptr && command->program_from &&
                         parts.arguments.size() >= *command->program_from;
    const std::string name = FlagName(argument);
    if (program || argument == "--") {
      at += !program ? 1 : 0;
      break;
    }
    if (name.empty()) {
      const std::vector<const CLI::App*> below = parts.path.back()->get_subcommands(
          [&](const CLI::App* app) { return app->check_name(argument); });
      if (command == nullptr && !below.empty()) {
        parts.path.push_back(below.front());
        parts.flags.emplace_back();
      } else {
        parts.arguments.push_back(argument);
      }
      ++at;
      continue;
    }
    size_t level = parts.path.size();
    const CLI::Option* flag = nullptr;
    while (flag == nullptr && level > 0) flag = parts.path[--level]->get_option_no_throw(name);
    if (flag == nullptr) {
      parts.flags.back().push_back(argument);  // CLI11 will say that it does not know it
      ++at;
    } else {
      at += TakeFlag(*parts.path[level], *flag, arguments, at, parts.flags[level]);
    }
  }
  parts.arguments.insert(parts.arguments.end(), arguments.begin() + static_cast<std::ptrdiff_t>(at),
                         arguments.end());
  return parts;
}

// Reversed, as CLI11 takes its input.
std::vector<std::string> CommandLine::Parts::ForCli11() const {
  std::vector<std::string> words = flags.front();
  for (size_t level = 1; level < path.size(); ++level) {
    words.push_back(path[level]->get_name());
    words.insert(words.end(), flags[level].begin(), flags[level].end());
  }
  std::ranges::reverse(words);
  return words;
}

CommandLine::Parsed CommandLine::Fail(const std::string& text) const {
  std::fputs(("gctr: " + text + "\n").c_str(), stderr);
  return {.action = nullptr, .exit_status = 1};
}

CommandLine::Parsed CommandLine::Parse(const std::vector<std::string>& arguments) {
  Parts parts = TakeApart(arguments);
  const Command* command = Find(parts);
  if (command != nullptr && command->arguments == nullptr) return {.action = command->action};
  if (command == nullptr && !parts.arguments.empty()) {
    const std::string path = PathOf(*parts.path.back());
    return Fail((path.empty() ? "" : path + ": ") + "no such command: " + parts.arguments.front());
  }
  try {
    root_.parse(parts.ForCli11());
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return {.action = nullptr, .exit_status = root_.exit(error)};
    return Fail(error.what());
  }
  if (command == nullptr) return Fail("no command");
  if (!parts.arguments.empty() && !command->takes_arguments) {
    return Fail(PathOf(*parts.path.back()) + ": unexpected argument: " + parts.arguments.front());
  }
  *command->arguments = std::move(parts.arguments);
  return {.action = command->action};
}

void AddDuration(CLI::App& app, const std::string& names, absl::Duration& value,
                 const std::string& help) {
  app.add_option_function<std::string>(
         names,
         [&value, names](const std::string& text) {
           if (!absl::ParseDuration(text, &value)) {
             throw CLI::ValidationError(names, "not a duration, such as 10s or 1h30m: " + text);
           }
         },
         help)
      ->type_name("DURATION");
}

void AddList(CLI::App& app, const std::string& names, std::vector<std::string>& values,
             const std::string& help) {
  app.add_option(names, values, help)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->type_name("TEXT ...");
}

}  // namespace gantry::gctr
