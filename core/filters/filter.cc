// SPDX-License-Identifier: Apache-2.0
#include "core/filters/filter.h"

#include <re2/re2.h>

#include <algorithm>

namespace gantry::filters {

bool Selector::Matches(Adaptor object) const {
  const std::optional<std::string> field = object(path);
  switch (op) {
    case Operator::kPresent:
      return field.has_value();
    case Operator::kEqual:
      return field.has_value() && *field == value;
    case Operator::kNotEqual:
      return field.value_or("") != value;
    case Operator::kMatches:
      return expression != nullptr && re2::RE2::PartialMatch(field.value_or(""), *expression);
  }
  return false;
}

bool Filter::Matches(Adaptor object) const {
  const auto holds = [&](const Selector& selector) { return selector.Matches(object); };
  return any_.empty() || std::ranges::any_of(any_, [&](const Conjunction& all) {
           return std::ranges::all_of(all, holds);
         });
}

std::optional<std::string> NonEmpty(std::string_view text) {
  if (text.empty()) return std::nullopt;
  return std::string(text);
}

std::string MapKey(FieldPath path) {
  std::string key;
  for (size_t i = 1; i < path.size(); ++i) {
    if (i > 1) key += '.';
    key += path[i];
  }
  return key;
}

}  // namespace gantry::filters
