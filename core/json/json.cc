// SPDX-License-Identifier: Apache-2.0
#include "core/json/json.h"

#include "core/base/status.h"

namespace gantry {
namespace {

// Values are written and copied recursively, so depth is stack.
bool NestsDeeperThan(std::string_view text, size_t limit) {
  size_t depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
      continue;
    }
    if (c == '"') quoted = true;
    if ((c == '{' || c == '[') && ++depth > limit) return true;
    if ((c == '}' || c == ']') && depth > 0) --depth;
  }
  return false;
}

}  // namespace

absl::StatusOr<Json> ParseJson(std::string_view text, std::string_view what) {
  if (NestsDeeperThan(text, kMaxJsonDepth)) {
    return InvalidArgument("{}: JSON nested deeper than {}", what, kMaxJsonDepth);
  }
  Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) return InvalidArgument("{}: not valid JSON", what);
  return value;
}

std::string DumpJson(const Json& value, int indent) {
  return value.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

const Json* Member(const Json& value, std::string_view key) {
  if (!value.is_object()) return nullptr;
  const auto found = value.find(key);
  return found == value.end() ? nullptr : &*found;
}

std::string StringMember(const Json& value, std::string_view key) {
  const Json* member = Member(value, key);
  if (member == nullptr || !member->is_string()) return "";
  return *member->get_ptr<const std::string*>();
}

int64_t IntMember(const Json& value, std::string_view key) {
  const Json* member = Member(value, key);
  if (member == nullptr || !member->is_number_integer()) return 0;
  return member->get<int64_t>();
}

bool BoolMember(const Json& value, std::string_view key) {
  const Json* member = Member(value, key);
  return member != nullptr && member->is_boolean() && member->get<bool>();
}

std::vector<std::string> StringsMember(const Json& value, std::string_view key) {
  std::vector<std::string> strings;
  const Json* member = Member(value, key);
  if (member == nullptr || !member->is_array()) return strings;
  for (const Json& element : *member) {
    if (element.is_string()) strings.push_back(*element.get_ptr<const std::string*>());
  }
  return strings;
}

Labels StringMapMember(const Json& value, std::string_view key) {
  Labels pairs;
  const Json* member = Member(value, key);
  if (member == nullptr || !member->is_object()) return pairs;
  for (const auto& [name, element] : member->items()) {
    if (element.is_string()) pairs.emplace(name, *element.get_ptr<const std::string*>());
  }
  return pairs;
}

Json& ObjectMember(Json& value, std::string_view key) {
  if (!value.is_object()) value = Json::object();
  Json& member = value[std::string(key)];
  if (!member.is_object()) member = Json::object();
  return member;
}

Json& ArrayMember(Json& value, std::string_view key) {
  if (!value.is_object()) value = Json::object();
  Json& member = value[std::string(key)];
  if (!member.is_array()) member = Json::array();
  return member;
}

}  // namespace gantry
