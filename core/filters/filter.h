// SPDX-License-Identifier: Apache-2.0
// containerd's filter language: how a client says which objects a list or a subscription holds.
//
//   filter    = selector { "," selector }        all of them hold
//   selector  = fieldpath [ op value ]           no operator: the field is present
//   fieldpath = field { "." field }              field: a word, or "quoted"
//   op        = "==" | "!=" | "~="               ~= is RE2 syntax, unanchored
//   value     = bare | "quoted" | /quoted/ | |quoted|     the last two after ~= alone
//
// A list of filter strings matches what any of them matches; an empty list, or an empty string in
// it, matches everything.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"

namespace re2 {
class RE2;
}

namespace gantry::filters {

// Bounds on what one request may ask for; beyond them Parse() answers InvalidArgument.
inline constexpr size_t kMaxFilterBytes = size_t{64} << 10;  // one filter string
inline constexpr size_t kMaxListBytes = size_t{1} << 20;     // all strings of a list
inline constexpr size_t kMaxExpressions = 32;                // regular expressions in a list
// What one compiled expression may take. A larger one counts as invalid: it matches nothing.
inline constexpr size_t kMaxExpressionBytes = size_t{1} << 20;

// The components of a field path: {"labels", "a.b/c"} for labels."a.b/c".
using FieldPath = std::span<const std::string>;

// How a filter looks at an object: the field's value, or nothing when the object lacks it. A name
// that the kind of object does not know is simply absent.
using Adaptor = absl::FunctionRef<std::optional<std::string>(FieldPath)>;

enum class Operator { kPresent, kEqual, kNotEqual, kMatches };

struct Selector {
  std::vector<std::string> path;
  Operator op = Operator::kPresent;
  std::string value;
  std::shared_ptr<const re2::RE2> expression;  // null: not kMatches, or it does not compile

  bool Matches(Adaptor object) const;
};

// What an object must satisfy. A value; default-constructed it matches everything.
//
// Threads: const methods from any thread.
class Filter {
 public:
  using Conjunction = std::vector<Selector>;

  Filter() = default;
  explicit Filter(std::vector<Conjunction> any) : any_(std::move(any)) {}

  bool Matches(Adaptor object) const;
  bool MatchesAll() const { return any_.empty(); }

 private:
  std::vector<Conjunction> any_;  // Empty: everything.
};

// InvalidArgument `filters: parse error: [… >|x|< …]: reason` for a string that is no filter. A
// regular expression that does not compile is no error: it is logged and matches nothing.
absl::StatusOr<Filter> Parse(std::span<const std::string> filters);

// The same for any container of strings, such as a repeated field.
template <typename Strings>
  requires(!std::convertible_to<Strings, std::span<const std::string>>)
absl::StatusOr<Filter> Parse(const Strings& filters) {
  return Parse(
      std::span<const std::string>(std::vector<std::string>(filters.begin(), filters.end())));
}

// For adaptors: a text field counts as present when it is not empty.
std::optional<std::string> NonEmpty(std::string_view text);

// For adaptors: what follows `labels` (or another map's name) in `path`, joined by dots, as a key.
std::string MapKey(FieldPath path);

// For adaptors: the map's value under MapKey(path).
template <typename Map>
std::optional<std::string> Lookup(const Map& map, FieldPath path) {
  const auto found = map.find(MapKey(path));
  if (found == map.end()) return std::nullopt;
  return std::string(found->second);
}

}  // namespace gantry::filters
