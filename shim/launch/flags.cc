// SPDX-License-Identifier: Apache-2.0
#include "shim/launch/flags.h"

#include <array>
#include <cerrno>
#include <optional>

namespace gantry::shim {
namespace {

struct Switch {
  std::string_view name;
  bool Flags::*member;
  std::string_view meaning;
};

struct Setting {
  std::string_view name;
  std::string Flags::*member;
  std::string_view meaning;
};

constexpr std::array kSwitches = {
    Switch{"debug", &Flags::debug, "log more"},
    Switch{"v", &Flags::version, "print the version"},
    Switch{"version", &Flags::version, "print the version"},
    Switch{"info", &Flags::info, "print what the runtime can do, encoded"},
};

constexpr std::array kSettings = {
    Setting{"namespace", &Flags::ns, "namespace of the container"},
    Setting{"id", &Flags::id, "id of the container"},
    Setting{"socket", &Flags::socket, "path of the socket to serve on"},
    Setting{"debug-socket", &Flags::debug_socket, "accepted and not used"},
    Setting{"bundle", &Flags::bundle, "path of the bundle, where it is not the working directory"},
    Setting{"address", &Flags::address, "gRPC address of the daemon"},
    Setting{"publish-binary", &Flags::publish_binary, "program that publishes events"},
};

template <typename Table>
auto Find(const Table& table, std::string_view name) -> decltype(&table[0]) {
  for (const auto& entry : table) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

kernel::Error Invalid(std::string_view what, std::string_view name) {
  return {EINVAL, std::string(what) + std::string(name)};
}

std::optional<bool> ParseBool(std::string_view text) {
  for (const std::string_view word : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (text == word) return true;
  }
  for (const std::string_view word : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (text == word) return false;
  }
  return std::nullopt;
}

}  // namespace

kernel::Result<Flags> ParseFlags(const std::vector<std::string_view>& arguments) {
  Flags flags;
  size_t i = 0;
  for (; i < arguments.size(); ++i) {
    std::string_view name = arguments[i];
    if (name.size() < 2 || name[0] != '-') break;
    name.remove_prefix(name[1] == '-' ? 2 : 1);
    if (name.empty()) {
      ++i;
      break;
    }
    std::optional<std::string_view> value;
    if (const size_t equals = name.find('='); equals != std::string_view::npos) {
      value = name.substr(equals + 1);
      name = name.substr(0, equals);
    }
    if (const Switch* found = Find(kSwitches, name)) {
      const auto on = value ? ParseBool(*value) : true;
      if (!on) return Invalid("not true or false: flag -", name);
      flags.*(found->member) = *on;
      continue;
    }
    const Setting* found = Find(kSettings, name);
    if (found == nullptr) return Invalid("no such flag: ", arguments[i]);
    if (!value && ++i == arguments.size()) return Invalid("no value for flag -", name);
    flags.*(found->member) = value ? *value : arguments[i];
  }
  if (i < arguments.size()) flags.action = arguments[i];
  return flags;
}

std::string FlagUsage() {
  std::string text;
  for (const Switch& entry : kSwitches) {
    text += "  -" + std::string(entry.name) + "\n    \t" + std::string(entry.meaning) + "\n";
  }
  for (const Setting& entry : kSettings) {
    text += "  -" + std::string(entry.name) + " string\n    \t" + std::string(entry.meaning) + "\n";
  }
  return text;
}

}  // namespace gantry::shim
