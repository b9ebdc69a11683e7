// SPDX-License-Identifier: Apache-2.0
#include "core/config/value.h"

#include <fmt/format.h>

#include <array>

namespace gantry::config {

std::string Position::ToString() const {
  if (line == 0) return "built in";
  return fmt::format("{}:{}:{}", file != nullptr ? *file : "", line, column);
}

std::string_view Value::kind() const {
  static constexpr std::array<std::string_view, std::variant_size_v<Data>> kNames = {
      "boolean", "integer", "number", "string", "list", "table"};
  return kNames[data.index()];
}

bool operator==(const Value& a, const Value& b) { return a.data == b.data; }

Table* EnsureTable(Table& parent, std::string_view key) {
  const auto found = parent.find(key);
  if (found != parent.end()) return found->second.table();
  return parent.emplace(key, Table()).first->second.table();
}

Table* FindTable(Table& parent, std::string_view key) {
  const auto found = parent.find(key);
  return found == parent.end() ? nullptr : found->second.table();
}

bool Take(Table& table, std::string_view key, Value& value) {
  const auto found = table.find(key);
  if (found == table.end()) return false;
  value = std::move(found->second);
  table.erase(found);
  return true;
}

}  // namespace gantry::config
