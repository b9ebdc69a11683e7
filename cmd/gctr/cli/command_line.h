// SPDX-License-Identifier: Apache-2.0
// The tree of commands, and what was asked for on the command line. The one place that knows how
// CLI11 reports errors.
#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace gantry::gctr {

class Session;

// What a command does; its value is the exit status of gctr.
using Action = std::function<absl::StatusOr<int>(Session&)>;

struct CommandInfo {
  std::vector<std::string> names;  // the first is shown, the others are aliases
  std::string help;
  std::string arguments = "";  // for the help text: "<ref> [<ref>...]"; empty: takes none
  // From this argument on nothing is a flag of gctr any more: it is a program's command line.
  std::optional<size_t> program_from = std::nullopt;
};

class CommandLine;

// A command that only has commands.
class CommandGroup {
 public:
  CommandGroup AddGroup(const CommandInfo& info);

  // `arguments` receives what is no flag; it and the variables behind flags live as long as
  // `action`.
  CLI::App& Add(const CommandInfo& info, std::vector<std::string>& arguments, Action action);

  // A command of containerd's client that gctr knows by name alone; its arguments are not looked
  // at.
  void AddUnserved(const CommandInfo& info);

  CLI::App& app() { return app_; }

 private:
  friend class CommandLine;
  CommandGroup(CommandLine& line, CLI::App& app) : line_(line), app_(app) {}

  CommandLine& line_;
  CLI::App& app_;
};

class CommandLine {
 public:
  explicit CommandLine(const std::string& version);
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  CommandGroup Root() { return {*this, root_}; }

  // The action asked for; or an exit status where nothing is left to do, as after --help.
  struct Parsed {
    Action action;
    int exit_status = 0;
  };
  // Prints help, version and errors. Flags of a command and of those above it may stand before,
  // between and after its arguments, up to "--".
  Parsed Parse(const std::vector<std::string>& arguments);

 private:
  friend class CommandGroup;
  struct Command {
    Action action;
    std::vector<std::string>* arguments = nullptr;  // null: whatever stands there is ignored
    bool takes_arguments = false;
    std::optional<size_t> program_from;
  };
  // A command line taken apart: commands from the root down with their flags, and the arguments.
  struct Parts {
    std::vector<const CLI::App*> path;
    std::vector<std::vector<std::string>> flags;
    std::vector<std::string> arguments;

    std::vector<std::string> ForCli11() const;
  };

  Parts TakeApart(const std::vector<std::string>& arguments) const;
  const Command* Find(const Parts& parts) const;
  Parsed Fail(const std::string& text) const;

  CLI::App root_;
  std::map<const CLI::App*, Command> commands_;
};

// Flags of types that CLI11 does not know.
void AddDuration(CLI::App& app, const std::string& names, absl::Duration& value,
                 const std::string& help);
// May be given many times, each time with one value.
void AddList(CLI::App& app, const std::string& names, std::vector<std::string>& values,
             const std::string& help);

}  // namespace gantry::gctr
