// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace gantry::oci {

// Longer passwd and group files are refused.
inline constexpr size_t kMaxUserFileBytes = size_t{10} << 20;

// Larger ids are refused: OCI runtimes hold them in 32 bits with a sign.
inline constexpr int64_t kMaxId = 0x7fffffff;

// The users and groups of a root file system that nobody trusts: /etc/passwd and /etc/group below
// it, passwd(5) and group(5). Symlinks are followed inside the root alone; what is no regular file
// is refused unopened (CVE-2026-47262); a line whose ids are no numbers in range names nobody.
//
// Ownership: the directory's fd is borrowed.
class UserDatabase {
 public:
  struct User {
    std::string name;
    uint32_t uid = 0;
    uint32_t gid = 0;
  };

  explicit UserDatabase(int root) : root_(root) {}

  // Nothing without a match; NotFound without the file.
  absl::StatusOr<std::optional<User>> FindUser(std::string_view name) const;
  absl::StatusOr<std::optional<User>> FindUser(uint32_t uid) const;
  absl::StatusOr<std::optional<uint32_t>> FindGroup(std::string_view name) const;

  // Groups that list `user` as a member, but for the one of the same name, in the file's order.
  absl::StatusOr<std::vector<uint32_t>> GroupsOf(std::string_view user) const;

 private:
  absl::StatusOr<std::string> Read(const std::string& path) const;

  int root_;
};

}  // namespace gantry::oci
