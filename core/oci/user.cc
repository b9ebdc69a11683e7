// SPDX-License-Identifier: Apache-2.0
#include "core/oci/user.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

#include "core/base/status.h"

namespace gantry::oci {
namespace {

bool LooksNumeric(std::string_view text) {
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

absl::StatusOr<uint32_t> ParseId(std::string_view text, std::string_view kind,
                                 std::string_view whole) {
  int64_t id = 0;
  const char* first = text.begin() + (text.starts_with('+') ? 1 : 0);
  const auto [end, error] = std::from_chars(first, text.end(), id);
  if (error != std::errc() || end != text.end() || id < 0 || id > kMaxId) {
    return InvalidArgument("invalid USER value {:?}: {} out of range", whole, kind);
  }
  return static_cast<uint32_t>(id);
}

absl::StatusOr<UserIds> ResolveName(std::string_view name, const UserDatabase& database) {
  ASSIGN_OR_RETURN(const std::optional<UserDatabase::User> user, database.FindUser(name));
  if (!user) return NotFound("user {:?}: no users found", name);
  return UserIds{.uid = user->uid, .gid = user->gid};
}

absl::StatusOr<UserIds> ResolveUid(uint32_t uid, const UserDatabase& database) {
  const absl::StatusOr<std::optional<UserDatabase::User>> user = database.FindUser(uid);
  if (!user.ok() && !absl::IsNotFound(user.status())) return user.status();
  return UserIds{.uid = uid, .gid = user.ok() && *user ? (*user)->gid : 0};
}

absl::StatusOr<uint32_t> ResolveGroup(std::string_view group, std::string_view whole,
                                      const UserDatabase& database) {
  if (group.empty()) return 0;
  if (LooksNumeric(group)) return ParseId(group, "gid", whole);
  ASSIGN_OR_RETURN(const std::optional<uint32_t> gid, database.FindGroup(group));
  if (!gid) return NotFound("group {:?}: no groups found", group);
  return *gid;
}

void Write(Json& spec, const UserIds& ids, std::vector<uint32_t> groups) {
  if (std::ranges::find(groups, ids.gid) == groups.end()) groups.insert(groups.begin(), ids.gid);
  Json& user = ObjectMember(ObjectMember(spec, "process"), "user");
  user["uid"] = ids.uid;
  user["gid"] = ids.gid;
  user["additionalGids"] = groups;
}

// None where the file is absent.
absl::StatusOr<std::vector<uint32_t>> GroupsOfName(std::string_view name,
                                                   const UserDatabase& database) {
  absl::StatusOr<std::vector<uint32_t>> groups = database.GroupsOf(name);
  if (absl::IsNotFound(groups.status())) return std::vector<uint32_t>();
  return groups;
}

absl::StatusOr<std::vector<uint32_t>> GroupsOfUid(uint32_t uid, const UserDatabase& database) {
  const absl::StatusOr<std::optional<UserDatabase::User>> user = database.FindUser(uid);
  if (!user.ok() && !absl::IsNotFound(user.status())) return user.status();
  if (!user.ok() || !*user) return std::vector<uint32_t>();
  return GroupsOfName((*user)->name, database);
}

}  // namespace

bool NeedsUserDatabase(std::string_view user) {
  const size_t colon = user.find(':');
  if (colon == std::string_view::npos) return true;
  const std::string_view group = user.substr(colon + 1);
  const std::string_view name = user.substr(0, colon);
  return (!name.empty() && !LooksNumeric(name)) || (!group.empty() && !LooksNumeric(group));
}

absl::StatusOr<UserIds> ResolveUser(std::string_view user, const UserDatabase& database) {
  const size_t colon = user.find(':');
  const std::string_view name = user.substr(0, colon);
  if (colon == std::string_view::npos) {
    if (!LooksNumeric(name)) return ResolveName(name, database);
    ASSIGN_OR_RETURN(const uint32_t uid, ParseId(name, "uid", user));
    return ResolveUid(uid, database);
  }
  const std::string_view group = user.substr(colon + 1);
  if (group.find(':') != std::string_view::npos) {
    return InvalidArgument("invalid USER value {:?}", user);
  }
  UserIds ids;
  if (LooksNumeric(name)) {
    ASSIGN_OR_RETURN(ids.uid, ParseId(name, "uid", user));
  } else if (!name.empty()) {
    ASSIGN_OR_RETURN(const UserIds named, ResolveName(name, database));
    ids.uid = named.uid;
  }
  ASSIGN_OR_RETURN(ids.gid, ResolveGroup(group, user, database));
  return ids;
}

absl::Status SetUserOnly(Json& spec, std::string_view user, const UserDatabase& database) {
  ASSIGN_OR_RETURN(const UserIds ids, ResolveUser(user, database));
  Write(spec, ids, {});
  return absl::OkStatus();
}

absl::Status SetUser(Json& spec, std::string_view user, const UserDatabase& database) {
  ASSIGN_OR_RETURN(const UserIds ids, ResolveUser(user, database));
  std::vector<uint32_t> groups;
  if (LooksNumeric(user)) {
    ASSIGN_OR_RETURN(groups, GroupsOfUid(ids.uid, database));
  } else if (user.find(':') == std::string_view::npos) {
    ASSIGN_OR_RETURN(groups, GroupsOfName(user, database));
  }
  Write(spec, ids, std::move(groups));
  return absl::OkStatus();
}

absl::Status SetImageUser(Json& spec, std::string_view user, const UserDatabase& database) {
  if (user.empty()) {
    ASSIGN_OR_RETURN(std::vector<uint32_t> groups, GroupsOfName("root", database));
    Write(spec, UserIds{}, std::move(groups));
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const UserIds ids, ResolveUser(user, database));
  ASSIGN_OR_RETURN(std::vector<uint32_t> groups, GroupsOfUid(ids.uid, database));
  Write(spec, ids, std::move(groups));
  return absl::OkStatus();
}

}  // namespace gantry::oci
