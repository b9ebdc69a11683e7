// SPDX-License-Identifier: Apache-2.0
// JSON documents that somebody else wrote: OCI runtime and image specifications, archives' indexes.
//
// Nothing here throws: a missing member, and a member of another type than asked for, read as
// empty.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/labels.h"

namespace gantry {

using Json = nlohmann::json;

inline constexpr size_t kMaxJsonDepth = 100;

// InvalidArgument, with `what` in front, when `text` is not one JSON value or nests deeper than
// kMaxJsonDepth.
absl::StatusOr<Json> ParseJson(std::string_view text, std::string_view what);

// UTF-8 text; bytes that are no UTF-8 become U+FFFD. With a negative `indent` all on one line.
std::string DumpJson(const Json& value, int indent = -1);

// The member of an object; null when there is none or `value` is no object.
const Json* Member(const Json& value, std::string_view key);

std::string StringMember(const Json& value, std::string_view key);
int64_t IntMember(const Json& value, std::string_view key);
bool BoolMember(const Json& value, std::string_view key);

// Elements that are no strings are left out.
std::vector<std::string> StringsMember(const Json& value, std::string_view key);
Labels StringMapMember(const Json& value, std::string_view key);

// The member, made an empty object or array first unless it is one already.
Json& ObjectMember(Json& value, std::string_view key);
Json& ArrayMember(Json& value, std::string_view key);

}  // namespace gantry
