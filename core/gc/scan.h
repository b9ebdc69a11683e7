// SPDX-License-Identifier: Apache-2.0
// For resources whose table has keys "ns/key" and one record an object.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/db/key.h"
#include "core/gc/resource.h"

namespace gantry::gc {

// Visits each row of `table` as `describe(node, record bytes)` sees it.
template <typename Describe>
absl::Status ScanTable(const metadata::View& view, metadata::TableId table, metadata::NodeType type,
                       Describe describe, absl::FunctionRef<absl::Status(Object)> visit) {
  return view.txn.ForEach(
      view.table(table), {},
      [&](std::string_view key, std::string_view bytes) -> absl::StatusOr<db::Scan> {
        const size_t end = key.find('\0');
        if (end == std::string_view::npos) return DataLoss("database key without namespace");
        Node node{type, std::string(key.substr(0, end)), std::string(key.substr(end + 1))};
        ASSIGN_OR_RETURN(Object object, describe(std::move(node), bytes));
        RETURN_IF_ERROR(visit(std::move(object)));
        return db::Scan::kContinue;
      });
}

// The one row that `node` names.
template <typename Describe>
absl::StatusOr<std::optional<Object>> LoadRow(const metadata::View& view, metadata::TableId table,
                                              const Node& node, Describe describe) {
  ASSIGN_OR_RETURN(const auto bytes, view.Get(table, db::JoinKey({node.ns, node.key})));
  if (!bytes) return std::nullopt;
  ASSIGN_OR_RETURN(Object object, describe(node, *bytes));
  return object;
}

// Whether an object with this expiry is alive, and until when.
inline void SetRoot(Object& object, const std::optional<absl::Time>& expires, absl::Time now) {
  object.root = !expires || *expires > now;
  if (expires) object.root_until = *expires;
}

}  // namespace gantry::gc
