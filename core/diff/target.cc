// SPDX-License-Identifier: Apache-2.0
#include "core/diff/target.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/str_split.h"

namespace gantry::diff {
namespace {

// The value behind "<key>=" among the options, empty if there is none.
std::string OptionValue(const mount::Mount& mount, std::string_view key) {
  for (const std::string& option : mount.options) {
    if (option.size() > key.size() && option.starts_with(key) && option[key.size()] == '=') {
      return option.substr(key.size() + 1);
    }
  }
  return {};
}

bool HasOption(const mount::Mount& mount, std::string_view option) {
  return std::ranges::find(mount.options, option) != mount.options.end();
}

}  // namespace

absl::StatusOr<Target> TargetOf(const mount::Mounts& mounts) {
  if (mounts.size() != 1) return Unimplemented("unpack into {} mounts", mounts.size());
  const mount::Mount& mount = mounts.front();
  if (mount.type == "overlay") {
    Target target{.directory = OptionValue(mount, "upperdir"),
                  .overlay = true,
                  .user_xattr = HasOption(mount, "userxattr")};
    if (target.directory.empty())
      return InvalidArgument("unpack into an overlay without upper directory");
    const std::string lowers = OptionValue(mount, "lowerdir");
    if (!lowers.empty()) target.lower_dirs = absl::StrSplit(lowers, ':');
    return target;
  }
  if (mount.type == "bind" || HasOption(mount, "bind") || HasOption(mount, "rbind")) {
    if (HasOption(mount, "ro"))
      return InvalidArgument("unpack into read-only mount of {}", mount.source);
    return Target{.directory = mount.source};
  }
  return Unimplemented("unpack into mount of type {}", mount.type);
}

}  // namespace gantry::diff
