// SPDX-License-Identifier: Apache-2.0
#include "core/platform/platform.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <span>
#include <utility>

#include "core/base/status.h"

namespace gantry {
namespace {

constexpr std::array<std::string_view, 17> kSystems = {
    "aix",   "android", "darwin", "dragonfly", "freebsd", "hurd",    "illumos", "ios", "js",
    "linux", "nacl",    "netbsd", "openbsd",   "plan9",   "solaris", "windows", "zos"};

constexpr std::array<std::string_view, 27> kArchitectures = {
    "386",     "amd64",   "amd64p32", "arm",    "armbe",    "arm64",     "arm64be",
    "loong64", "mips",    "mipsle",   "mips64", "mips64le", "mips64p32", "mips64p32le",
    "ppc",     "ppc64",   "ppc64le",  "riscv",  "riscv64",  "s390",      "s390x",
    "sparc",   "sparc64", "wasm",     "i386",   "x86_64",   "aarch64"};

bool Contains(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

std::string Lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

void NormalizeArmVariant(std::string& variant) {
  if (variant.empty() || variant == "7") variant = "v7";
  if (variant == "5" || variant == "6" || variant == "8") variant = "v" + variant;
}

void NormalizeArm64Variant(std::string& variant) {
  if (variant == "8" || variant == "v8" || variant == "v8.0") variant = "";
  if (variant == "9" || variant == "9.0" || variant == "v9.0") variant = "v9";
}

void NormalizeArchitecture(std::string& architecture, std::string& variant) {
  if (architecture == "i386") {
    architecture = "386";
    variant = "";
  } else if (architecture == "x86_64" || architecture == "x86-64" || architecture == "amd64") {
    architecture = "amd64";
    if (variant == "v1") variant = "";
  } else if (architecture == "aarch64" || architecture == "arm64") {
    architecture = "arm64";
    NormalizeArm64Variant(variant);
  } else if (architecture == "armhf") {
    architecture = "arm";
    variant = "v7";
  } else if (architecture == "armel") {
    architecture = "arm";
    variant = "v6";
  } else if (architecture == "arm") {
    NormalizeArmVariant(variant);
  }
}

std::vector<std::string> SplitParts(std::string_view text) {
  std::vector<std::string> parts;
  for (size_t slash = text.find('/'); slash != std::string_view::npos; slash = text.find('/')) {
    parts.emplace_back(text.substr(0, slash));
    text.remove_prefix(slash + 1);
  }
  parts.emplace_back(text);
  return parts;
}

absl::StatusOr<Platform> ParseOnePart(const std::string& part) {
  const Platform host = HostPlatform();
  Platform platform = Normalize({.os = part, .architecture = "", .variant = ""});
  if (Contains(kSystems, platform.os)) {
    platform.architecture = host.architecture;
    if (host.architecture == "arm" && host.variant != "v7") platform.variant = host.variant;
    return platform;
  }
  platform = Normalize({.os = "linux", .architecture = part, .variant = ""});
  if (!Contains(kArchitectures, platform.architecture)) {
    return InvalidArgument("{:?}: unknown operating system or architecture", part);
  }
  if (platform.architecture == "arm" && platform.variant == "v7") platform.variant = "";
  platform.os = host.os;
  return platform;
}

}  // namespace

Platform Normalize(Platform platform) {
  platform.os = Lower(std::move(platform.os));
  if (platform.os.empty()) platform.os = "linux";
  if (platform.os == "macos") platform.os = "darwin";
  platform.architecture = Lower(std::move(platform.architecture));
  platform.variant = Lower(std::move(platform.variant));
  NormalizeArchitecture(platform.architecture, platform.variant);
  std::ranges::sort(platform.os_features);
  const auto repeated = std::ranges::unique(platform.os_features);
  platform.os_features.erase(repeated.begin(), repeated.end());
  return platform;
}

absl::StatusOr<Platform> ParsePlatform(std::string_view text) {
  if (text.find('*') != std::string_view::npos) {
    return InvalidArgument("platform {}: wildcards are not supported", text);
  }
  const std::vector<std::string> parts = SplitParts(text);
  const bool blank =
      std::ranges::any_of(parts, [](const std::string& part) { return part.empty(); });
  if (blank || parts.size() > 3) {
    return InvalidArgument("platform {}: not of the form os/architecture/variant", text);
  }
  if (parts.size() == 1) return ParseOnePart(parts[0]);
  Platform platform = Normalize({.os = parts[0],
                                 .architecture = parts[1],
                                 .variant = parts.size() == 3 ? parts[2] : std::string()});
  if (parts.size() == 2 && platform.architecture == "arm" && platform.variant == "v7") {
    platform.variant = "";
  }
  if (parts.size() == 3 && platform.architecture == "arm64" && platform.variant.empty()) {
    platform.variant = "v8";
  }
  return platform;
}

std::string FormatPlatform(const Platform& platform) {
  if (platform.os.empty()) return "unknown";
  std::string text = platform.os;
  for (const std::string* part : {&platform.architecture, &platform.variant}) {
    if (!part->empty()) text += "/" + *part;
  }
  return text;
}

Platform HostPlatform() {
  utsname host = {};
  ::uname(&host);  // fails for a bad pointer alone
  std::string_view machine = host.machine;
  Platform platform = {.os = "linux", .architecture = std::string(machine), .variant = ""};
  if (machine.starts_with("armv")) {
    platform.architecture = "arm";
    platform.variant = std::string("v") + machine[4];
  } else if (machine == "i486" || machine == "i586" || machine == "i686") {
    platform.architecture = "386";
  }
  return Normalize(std::move(platform));
}

}  // namespace gantry
