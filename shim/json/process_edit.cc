// SPDX-License-Identifier: Apache-2.0
#include "shim/json/process_edit.h"

#include <strings.h>

#include "shim/json/json_reader.h"

namespace gantry::shim {

kernel::Result<std::string> SetProcessTerminal(std::string_view process, bool terminal) {
  constexpr std::string_view kName = "terminal";
  const std::string_view value = terminal ? "true" : "false";
  JsonReader json(process);
  if (!json.EnterObject()) return json.Error("read OCI process");
  const size_t body = json.offset();

  std::string edited;
  size_t copied = body;
  bool found = false;
  bool empty = true;
  while (const auto key = json.NextKey()) {
    empty = false;
    if (key->size() != kName.size() || strncasecmp(key->data(), kName.data(), kName.size()) != 0) {
      continue;
    }
    found = found || *key == kName;
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
    head += "\"terminal\":";
    head += value;
    if (!empty) head += ',';
  }
  return head + edited + std::string(process.substr(copied));
}

}  // namespace gantry::shim
