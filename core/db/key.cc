// SPDX-License-Identifier: Apache-2.0
#include "core/db/key.h"

#include <openssl/sha.h>

#include <array>

#include "core/base/status.h"

namespace gantry::db {

std::string JoinKey(std::initializer_list<std::string_view> components) {
  std::string key;
  for (bool first = true; const std::string_view component : components) {
    if (!first) key += '\0';
    key += component;
    first = false;
  }
  return key;
}

std::string KeyPrefix(std::initializer_list<std::string_view> components) {
  std::string prefix;
  for (const std::string_view component : components) {
    prefix += component;
    prefix += '\0';
  }
  return prefix;
}

std::vector<std::string_view> SplitKey(std::string_view key) {
  std::vector<std::string_view> components;
  for (;;) {
    const size_t end = key.find('\0');
    components.push_back(key.substr(0, end));
    if (end == std::string_view::npos) return components;
    key.remove_prefix(end + 1);
  }
}

absl::Status CheckComponent(std::string_view what, std::string_view value) {
  if (value.find('\0') == std::string_view::npos) return absl::OkStatus();
  return InvalidArgument("{} must not contain a NUL byte", what);
}

std::string StoredKey(std::string_view key) {
  if (!IsSpilled(key)) return std::string(key);
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  ::SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), digest.data());
  std::string stored(key.substr(0, kMaxPlainKeyBytes));
  stored += '\xff';
  stored.append(reinterpret_cast<const char*>(digest.data()), digest.size());
  return stored;
}

}  // namespace gantry::db
