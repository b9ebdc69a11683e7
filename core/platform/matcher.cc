// SPDX-License-Identifier: Apache-2.0
#include "core/platform/matcher.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>

namespace gantry {
namespace {

// The N of "vN"; nothing for other variants, dotted ones included.
std::optional<int> VariantNumber(std::string_view variant) {
  if (!variant.starts_with('v')) return std::nullopt;
  variant.remove_prefix(1);
  int number = 0;
  const auto [end, error] = std::from_chars(variant.begin(), variant.end(), number);
  if (error != std::errc() || end != variant.end()) return std::nullopt;
  return number;
}

Platform With(Platform platform, std::string_view architecture, std::string_view variant) {
  platform.architecture = architecture;
  platform.variant = variant;
  return platform;
}

void AppendVariants(const Platform& platform, std::string_view architecture, int from, int to,
                    std::vector<Platform>& accepted) {
  for (int number = from; number >= to; --number) {
    accepted.push_back(Normalize(With(platform, architecture, "v" + std::to_string(number))));
  }
}

struct ArmVersion {
  int major = 8;
  int minor = 0;
};

// Of "v8.3"; nothing for a version that is not defined.
std::optional<ArmVersion> ParseArmVersion(std::string_view variant) {
  if (variant.empty()) return ArmVersion{};
  const size_t dot = variant.find('.');
  const std::optional<int> major = VariantNumber(variant.substr(0, dot));
  if (!major || (*major != 8 && *major != 9)) return std::nullopt;
  if (dot == std::string_view::npos) return ArmVersion{.major = *major};
  const std::string_view rest = variant.substr(dot + 1);
  const int last = *major == 8 ? 9 : 7;
  if (rest.size() != 1 || rest[0] < '0' || rest[0] > '0' + last) return std::nullopt;
  return ArmVersion{.major = *major, .minor = rest[0] - '0'};
}

void AppendArm64(const Platform& platform, ArmVersion version, std::vector<Platform>& accepted) {
  for (int minor = version.minor; minor >= 0; --minor) {
    std::string variant = "v" + std::to_string(version.major);
    if (minor > 0) variant += "." + std::to_string(minor);
    accepted.push_back(Normalize(With(platform, "arm64", variant)));
  }
}

std::vector<Platform> Runnable(const Platform& platform) {
  std::vector<Platform> accepted;
  if (platform.architecture == "arm64") {
    const std::optional<ArmVersion> version = ParseArmVersion(platform.variant);
    if (!version) return accepted;
    AppendArm64(platform, *version, accepted);
    if (version->major == 9) {  // v9.x includes all of v8.(x+5)
      AppendArm64(platform, {.major = 8, .minor = std::min(version->minor + 5, 9)}, accepted);
    }
    AppendVariants(platform, "arm", 8, 5, accepted);
    return accepted;
  }
  accepted.push_back(platform);
  const std::optional<int> number = VariantNumber(platform.variant);
  if (platform.architecture == "amd64") {
    if (number) AppendVariants(platform, "amd64", *number - 1, 1, accepted);
    accepted.push_back(With(platform, "386", ""));
  }
  if (platform.architecture == "arm" && number) {
    AppendVariants(platform, "arm", *number - 1, 5, accepted);
  }
  return accepted;
}

// A plain image runs where features are offered; one that needs features does not run without.
bool Accepts(const Platform& pattern, const Platform& candidate) {
  return pattern.os == candidate.os && pattern.architecture == candidate.architecture &&
         pattern.variant == candidate.variant &&
         std::ranges::includes(pattern.os_features, candidate.os_features);
}

}  // namespace

PlatformMatcher PlatformMatcher::Only(const Platform& platform) {
  return PlatformMatcher(Runnable(Normalize(platform)), false);
}

PlatformMatcher PlatformMatcher::Strict(const Platform& platform) {
  return PlatformMatcher({Normalize(platform)}, false);
}

PlatformMatcher PlatformMatcher::Ordered(std::vector<Platform> platforms) {
  for (Platform& platform : platforms) platform = Normalize(std::move(platform));
  return PlatformMatcher(std::move(platforms), false);
}

std::optional<size_t> PlatformMatcher::Rank(const Platform& candidate) const {
  if (all_) return 0;
  const Platform normal = Normalize(candidate);
  for (size_t i = 0; i < accepted_.size(); ++i) {
    if (Accepts(accepted_[i], normal)) return i;
  }
  return std::nullopt;
}

}  // namespace gantry
