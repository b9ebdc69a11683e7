// SPDX-License-Identifier: Apache-2.0
// Who a container's process is. Users are written "user", "uid", "user:group", "uid:gid",
// "user:gid" or "uid:group" (OCI image-spec 1.1, config.md, "User").
//
// What is written as a number is never taken for a name (CVE-2026-46680), and a number above
// 2,147,483,647 is refused: runtimes would wrap it, to root even (CVE-2024-40635).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/json/json.h"
#include "core/oci/user_database.h"

namespace gantry::oci {

struct UserIds {
  uint32_t uid = 0;
  uint32_t gid = 0;
};

// False when all is said in numbers; the functions below then read no file.
bool NeedsUserDatabase(std::string_view user);

// A uid without a group gets the group that passwd gives it, or 0.
// Errors: InvalidArgument for numbers out of range and more than one colon; NotFound for names that
// nobody has.
absl::StatusOr<UserIds> ResolveUser(std::string_view user, const UserDatabase& database);

// The process runs as `user`. Its groups: the primary one, and without ":group" those of the user's
// name.
absl::Status SetUser(Json& spec, std::string_view user, const UserDatabase& database);

// The same without groups of the name, as for a process that is added to a container.
absl::Status SetUserOnly(Json& spec, std::string_view user, const UserDatabase& database);

// As the image's config wishes: with the groups of the user whom the uid belongs to
// (CVE-2023-25173), and for an empty wish with root's.
absl::Status SetImageUser(Json& spec, std::string_view user, const UserDatabase& database);

}  // namespace gantry::oci
