// SPDX-License-Identifier: Apache-2.0
#include "shim/options/options_json.h"

#include <limits>
#include <optional>
#include <utility>

#include "shim/json/json_reader.h"
#include "shim/json/json_writer.h"

namespace gantry::shim {
namespace {

constexpr std::string_view kAct = "read runtime options";

class MemberWriter {
 public:
  explicit MemberWriter(JsonObjectWriter& json) : json_(json) {}  // borrowed

  void operator()(std::string_view name, bool value) {
    if (value) json_.Bool(name, value);
  }
  void operator()(std::string_view name, uint32_t value) {
    if (value != 0) json_.Int(name, value);
  }
  void operator()(std::string_view name, const std::string& value) {
    if (!value.empty()) json_.String(name, value);
  }

 private:
  JsonObjectWriter& json_;
};

bool Take(JsonReader& json, bool& value) {
  const auto read = json.Bool();
  if (read) value = *read;
  return read.has_value();
}

bool Take(JsonReader& json, uint32_t& value) {
  const auto read = json.Int();
  if (!read || *read < 0 || *read > std::numeric_limits<uint32_t>::max()) return false;
  value = static_cast<uint32_t>(*read);
  return true;
}

bool Take(JsonReader& json, std::string& value) {
  auto read = json.String();
  if (read) value = *std::move(read);
  return read.has_value();
}

}  // namespace

std::string OptionsToJson(const RuncOptions& options) {
  std::string text;
  {
    JsonObjectWriter json(text);
    VisitRuncOptions(options, MemberWriter(json));
  }
  return text;
}

kernel::Result<RuncOptions> OptionsFromJson(std::string_view text) {
  RuncOptions options;
  JsonReader json(text);
  if (!json.EnterObject()) return json.Error(kAct);
  while (const auto key = json.NextKey()) {
    std::string_view unfit;
    VisitRuncOptions(options, [&](std::string_view name, auto& member) {
      if (*key == name && !json.Null() && !Take(json, member)) unfit = name;
    });
    if (json.ok() && !unfit.empty()) {
      return kernel::Error{EINVAL, std::string(kAct) + ": value of " + std::string(unfit)};
    }
  }
  if (!json.Finish()) return json.Error(kAct);
  return options;
}

}  // namespace gantry::shim
