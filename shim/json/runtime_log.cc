// SPDX-License-Identifier: Apache-2.0
#include "shim/json/runtime_log.h"

#include <strings.h>

#include <algorithm>
#include <array>
#include <utility>

#include "shim/json/json_reader.h"

namespace gantry::shim {
namespace {

bool IsErrorLevel(const std::string& level) {
  constexpr std::array kLevels = {"error", "fatal", "panic"};
  return std::any_of(kLevels.begin(), kLevels.end(), [&](const char* error_level) {
    return strcasecmp(level.c_str(), error_level) == 0;
  });
}

bool IsMessageKey(std::string_view key) { return key == "msg" || key == "message"; }

// The message of the record that `json` is at, if it is one of an error; otherwise empty.
std::string TakeErrorMessage(JsonReader& json) {
  std::string level;
  std::string message;
  std::string nested_message;
  while (const auto key = json.NextKey()) {
    if (*key == "level") {
      level = json.String().value_or("");
    } else if (IsMessageKey(*key)) {
      message = json.String().value_or("");
    } else if (*key == "fields" && json.EnterObject()) {
      while (const auto nested = json.NextKey()) {
        if (IsMessageKey(*nested)) nested_message = json.String().value_or("");
      }
    }
  }
  if (!json.ok() || !IsErrorLevel(level)) return {};
  return message.empty() ? nested_message : message;
}

}  // namespace

std::optional<RuntimeLogError> LastRuntimeError(std::string_view log) {
  if (log.size() > kLogTailBytes) log.remove_prefix(log.size() - kLogTailBytes);
  std::optional<RuntimeLogError> last;
  size_t start = log.find('{');
  while (start != std::string_view::npos) {
    const std::string_view rest = log.substr(start);
    JsonReader json(rest);
    json.EnterObject();
    std::string message = TakeErrorMessage(json);
    if (!message.empty()) last = {std::move(message), rest.substr(0, json.offset())};
    // Within what is no record after all, one may begin.
    start = log.find('{', start + (json.ok() ? json.offset() : 1));
  }
  return last;
}

}  // namespace gantry::shim
