// SPDX-License-Identifier: Apache-2.0
#include "shim/json/process_edit.h"

#include <strings.h>

#include "shim/json/json_reader.h"
#include "shim/json/json_string.h"

namespace gantry::shim {
namespace {

kernel::Result<std::string> SetMember(std::string_view process, std::string_view name,
                                      std::string_view value) {
  JsonReader json(process);
  if (!json.EnterObject()) return json.Error("read OCI process");
  const size_t body = json.offset();

  std::string edited;
  size_t copied = body;
  bool found = false;
  bool empty = true;
  while (const auto key = json.NextKey()) {
    empty = false;
    if (key->size() != name.size() || ::strncasecmp(key->data(), name.data(), name.size()) != 0) {
      continue;
    }
    found = found || *key == name;
    const std::string_view old = json.Raw();
    if (!json.ok()) break;
    const auto start = static_cast<size_t>(old.data() - process.data());
    edited += process.substr(copied, start - copied);
    edited += value;
    copied = start + old.size();
  }
  if (!json.Finish()) return json.Error("read OCI process");

  std::string head(process.substr(0, body));
  if (!found) {
    AppendJsonString(head, name);
    head += ':';
    head += value;
    if (!empty) head += ',';
  }
  return head + edited + std::string(process.substr(copied));
}

}  // namespace

kernel::Result<std::string> SetProcessTerminal(std::string_view process, bool terminal) {
  return SetMember(process, "terminal", terminal ? "true" : "false");
}

kernel::Result<std::string> SetProcessArgs(std::string_view process,
                                           std::span<const std::string> args) {
  std::string value = "[";
  for (const std::string& arg : args) {
    if (value.size() > 1) value += ',';
    AppendJsonString(value, arg);
  }
  value += ']';
  return SetMember(process, "args", value);
}

}  // namespace gantry::shim
