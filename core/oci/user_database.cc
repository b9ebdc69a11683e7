// SPDX-License-Identifier: Apache-2.0
#include "core/oci/user_database.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include "absl/functional/function_ref.h"
#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/kernel/file.h"
#include "core/kernel/resolve.h"

namespace gantry::oci {
namespace {

using Fields = std::array<std::string_view, 4>;

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\v\f";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// Takes what stands before the first `separator` off the front of `rest`.
std::string_view TakeUpTo(std::string_view& rest, char separator) {
  const size_t end = rest.find(separator);
  const std::string_view taken = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return taken;
}

std::optional<uint32_t> ParseId(std::string_view text) {
  int64_t id = 0;
  const auto [end, error] = std::from_chars(text.begin(), text.end(), id);
  if (error != std::errc() || end != text.end() || id < 0 || id > kMaxId) return std::nullopt;
  return static_cast<uint32_t>(id);
}

// Calls `visit` with the first four fields of each line until it answers false.
void ForEachLine(std::string_view text, absl::FunctionRef<bool(const Fields&)> visit) {
  while (!text.empty()) {
    std::string_view line = Trim(TakeUpTo(text, '\n'));
    if (line.empty()) continue;
    Fields fields;
    for (std::string_view& field : fields) field = TakeUpTo(line, ':');
    if (!visit(fields)) return;
  }
}

std::optional<UserDatabase::User> ParseUser(const Fields& fields) {
  const std::optional<uint32_t> uid = ParseId(fields[2]);
  const std::optional<uint32_t> gid = ParseId(fields[3]);
  if (!uid || !gid) return std::nullopt;
  return UserDatabase::User{.name = std::string(fields[0]), .uid = *uid, .gid = *gid};
}

template <typename Predicate>
std::optional<UserDatabase::User> FirstUser(std::string_view text, Predicate wanted) {
  std::optional<UserDatabase::User> found;
  ForEachLine(text, [&](const Fields& fields) {
    std::optional<UserDatabase::User> user = ParseUser(fields);
    if (user && wanted(*user)) found = std::move(user);
    return !found;
  });
  return found;
}

bool Lists(std::string_view members, std::string_view user) {
  while (!members.empty()) {
    if (TakeUpTo(members, ',') == user) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<std::string> UserDatabase::Read(const std::string& path) const {
  // Opened without touching what it is: a device or a pipe must not notice.
  ASSIGN_OR_RETURN(const kernel::UniqueFd place,
                   ToStatusOr(kernel::OpenInside(root_, path, O_PATH | O_CLOEXEC)));
  struct stat status = {};
  if (::fstat(place.get(), &status) != 0) return FromErrno(errno, "stat " + path);
  if (!S_ISREG(status.st_mode)) return FailedPrecondition("{}: not a regular file", path);
  ASSIGN_OR_RETURN(const kernel::UniqueFd file,
                   ToStatusOr(kernel::Open(kernel::PathOfFd(place.get()), O_RDONLY | O_CLOEXEC)));
  const auto text = kernel::ReadAll(file.get(), kMaxUserFileBytes, path);
  if (!text.ok() && text.error().err == EFBIG) {
    return ResourceExhausted("{}: exceeds {} bytes", path, kMaxUserFileBytes);
  }
  return ToStatusOr(text);
}

absl::StatusOr<std::optional<UserDatabase::User>> UserDatabase::FindUser(
    std::string_view name) const {
  ASSIGN_OR_RETURN(const std::string text, Read("etc/passwd"));
  return FirstUser(text, [&](const User& user) { return user.name == name; });
}

absl::StatusOr<std::optional<UserDatabase::User>> UserDatabase::FindUser(uint32_t uid) const {
  ASSIGN_OR_RETURN(const std::string text, Read("etc/passwd"));
  return FirstUser(text, [&](const User& user) { return user.uid == uid; });
}

absl::StatusOr<std::optional<uint32_t>> UserDatabase::FindGroup(std::string_view name) const {
  ASSIGN_OR_RETURN(const std::string text, Read("etc/group"));
  std::optional<uint32_t> gid;
  ForEachLine(text, [&](const Fields& fields) {
    if (fields[0] == name) gid = ParseId(fields[2]);
    return !gid;
  });
  return gid;
}

absl::StatusOr<std::vector<uint32_t>> UserDatabase::GroupsOf(std::string_view user) const {
  ASSIGN_OR_RETURN(const std::string text, Read("etc/group"));
  std::vector<uint32_t> gids;
  ForEachLine(text, [&](const Fields& fields) {
    const std::optional<uint32_t> gid = ParseId(fields[2]);
    if (gid && fields[0] != user && Lists(fields[3], user)) gids.push_back(*gid);
    return true;
  });
  return gids;
}

}  // namespace gantry::oci
