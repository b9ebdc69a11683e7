// SPDX-License-Identifier: Apache-2.0
#include "core/config/merge.h"

#include <algorithm>
#include <utility>

namespace gantry::config {
namespace {

bool IsZero(const Value& value) {
  struct Visitor {
    bool operator()(bool flag) const { return !flag; }
    bool operator()(int64_t number) const { return number == 0; }
    bool operator()(double number) const { return number == 0; }
    bool operator()(const std::string& text) const { return text.empty(); }
    bool operator()(const List& list) const { return list.empty(); }
    bool operator()(const Table& table) const { return table.empty(); }
  };
  return std::visit(Visitor(), value.data);
}

void MergeDeep(Table& earlier, Table&& later) {
  for (auto& [key, value] : later) {
    Table* below = FindTable(earlier, key);
    if (below != nullptr && value.table() != nullptr) {
      MergeDeep(*below, std::move(*value.table()));
    } else {
      earlier.insert_or_assign(key, std::move(value));
    }
  }
}

void MergeEntries(Table& earlier, Table&& later) {
  for (auto& [key, value] : later) earlier.insert_or_assign(key, std::move(value));
}

void Union(List& earlier, List&& later) {
  for (Value& value : later) {
    if (std::ranges::find(earlier, value) == earlier.end()) earlier.push_back(std::move(value));
  }
}

void MergeTables(std::string_view key, Table& earlier, Table later) {
  if (key == "plugins") return MergeDeep(earlier, std::move(later));
  if (key == "proxy_plugins" || key == "timeouts" || key == "stream_processors") {
    return MergeEntries(earlier, std::move(later));
  }
  Merge(earlier, std::move(later));
}

}  // namespace

void Merge(Table& earlier, Table&& later) {
  for (auto& [key, value] : later) {
    const auto found = earlier.find(key);
    if (found == earlier.end()) {
      earlier.emplace(key, std::move(value));
    } else if (found->second.table() != nullptr && value.table() != nullptr) {
      MergeTables(key, *found->second.table(), std::move(*value.table()));
    } else if (found->second.list() != nullptr && value.list() != nullptr) {
      Union(*found->second.list(), std::move(*value.list()));
    } else if (!IsZero(value)) {
      found->second = std::move(value);
    }
  }
}

}  // namespace gantry::config
