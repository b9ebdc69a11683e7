// SPDX-License-Identifier: Apache-2.0
#include "core/diff/overlay_options.h"

#include <algorithm>

namespace gantry::diff {
namespace {

bool Has(const mount::Mount& mount, std::string_view option) {
  return std::ranges::find(mount.options, option) != mount.options.end();
}

bool IsBind(const mount::Mount& mount) {
  return mount.type == "bind" || Has(mount, "bind") || Has(mount, "rbind");
}

// For the mount manager alone. Left over, they make mounting fail, so that is left to mounting.
bool HasPrivateOptions(const mount::Mount& mount) {
  return std::ranges::any_of(
      mount.options, [](std::string_view option) { return option.starts_with("X-containerd."); });
}

bool IsIdMapped(const mount::Mount& mount) {
  return std::ranges::any_of(mount.options, [](std::string_view option) {
    return option.starts_with("uidmap=") || option.starts_with("gidmap=");
  });
}

}  // namespace

std::vector<std::string> SplitLowerDirs(std::string_view text) {
  std::vector<std::string> directories(1);
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ':') {
      directories.emplace_back();
      continue;
    }
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    directories.back() += text[i];
  }
  return directories;
}

std::optional<OverlayOptions> ParseOverlay(const mount::Mount& mount) {
  if (mount.type != "overlay" || HasPrivateOptions(mount)) return std::nullopt;
  OverlayOptions overlay;
  overlay.id_mapped = IsIdMapped(mount);
  for (const std::string& option : mount.options) {
    const size_t equals = option.find('=');
    const std::string_view key = std::string_view(option).substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : option.substr(equals + 1);
    // One option per layer, and layers that hold data alone.
    if (key == "lowerdir+" || key == "datadir+") return std::nullopt;
    if (key == "upperdir") overlay.upper = value;
    if (key == "lowerdir") overlay.lower = SplitLowerDirs(value);
    if (key == "userxattr") overlay.user_xattr = true;
    if (option == "index=off") overlay.index_off = true;
  }
  const auto unusable = [](const std::string& path) { return !path.starts_with('/'); };
  if (std::ranges::any_of(overlay.lower, unusable)) return std::nullopt;
  if (!overlay.upper.empty() && unusable(overlay.upper)) return std::nullopt;
  return overlay;
}

bool IsPlainBind(const mount::Mount& mount) {
  return IsBind(mount) && !Has(mount, "ro") && !IsIdMapped(mount) && !HasPrivateOptions(mount);
}

std::optional<std::vector<std::string>> ShownDirectories(const mount::Mount& mount) {
  if (IsIdMapped(mount) || HasPrivateOptions(mount)) return std::nullopt;
  if (IsBind(mount)) return std::vector<std::string>{mount.source};
  const std::optional<OverlayOptions> overlay = ParseOverlay(mount);
  if (!overlay || !overlay->upper.empty()) return std::nullopt;
  return overlay->lower;
}

}  // namespace gantry::diff
