// SPDX-License-Identifier: Apache-2.0
// Keys of any length over LMDB's 511-byte limit.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace gantry::db {

// LMDB refuses longer keys. A longer one is stored as its first kMaxPlainKeyBytes bytes, 0xFF and
// the SHA-256 of all of it, and the record then carries the whole key. Plain keys end before that
// form's length, so the two never meet.
inline constexpr size_t kMaxPlainKeyBytes = 460;

// Components joined by NUL. A component with a NUL inside would blur the borders: callers check
// input with CheckComponent() first.
std::string JoinKey(std::initializer_list<std::string_view> components);

// The prefix of all keys that start with these components and have at least one more.
std::string KeyPrefix(std::initializer_list<std::string_view> components);

// The components of a joined key.
std::vector<std::string_view> SplitKey(std::string_view key);

// InvalidArgument when `value` holds a NUL; `what` names it.
absl::Status CheckComponent(std::string_view what, std::string_view value);

// The bytes under which LMDB stores `key`.
std::string StoredKey(std::string_view key);

// True if StoredKey() shortened the key.
inline bool IsSpilled(std::string_view key) { return key.size() > kMaxPlainKeyBytes; }

}  // namespace gantry::db
