// SPDX-License-Identifier: Apache-2.0
// The update masks of the API: "labels", "labels.<key>" and the like.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/base/labels.h"
#include "core/base/status.h"

namespace gantry::metadata {

// The paths of an update; empty means "everything that may change".
using FieldMask = std::vector<std::string>;

// If `path` is "<field>.<key>", sets `key` to all behind the first dot, dots and slashes included.
inline bool ConsumeKeyPath(std::string_view path, std::string_view field, std::string_view& key) {
  if (path.size() <= field.size() + 1 || !path.starts_with(field) || path[field.size()] != '.')
    return false;
  key = path.substr(field.size() + 1);
  return true;
}

// Sets or, if `from` lacks it, deletes one key of `to`.
template <typename Map>
void CopyKey(const Map& from, std::string_view key, Map& to) {
  if (const auto value = from.find(key); value != from.end()) {
    to[std::string(key)] = value->second;
  } else if (const auto old = to.find(key); old != to.end()) {
    to.erase(old);
  }
}

// Applies one mask path to a label map that goes by `field`. False if the path is another field's.
inline bool ApplyLabelPath(std::string_view path, std::string_view field, const Labels& from,
                           Labels& to) {
  std::string_view key;
  if (path == field) {
    to = from;
  } else if (ConsumeKeyPath(path, field, key)) {
    CopyKey(from, key, to);
  } else {
    return false;
  }
  return true;
}

// Objects of which only the labels may change: content and snapshots.
inline absl::Status ApplyLabelsOnly(const FieldMask& mask, std::string_view what,
                                    const Labels& from, Labels& to) {
  if (mask.empty()) to = from;
  for (const std::string& path : mask) {
    if (!ApplyLabelPath(path, "labels", from, to))
      return InvalidArgument("cannot update {:?} field on {}", path, what);
  }
  DropEmptyLabels(to);
  return ValidateLabels(to);
}

}  // namespace gantry::metadata
