// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace gantry {

// What an image was made for: OCI image-spec 1.1, image-index.md, "platform".
struct Platform {
  std::string os;
  std::string architecture;
  std::string variant;
  std::string os_version = {};
  std::vector<std::string> os_features = {};

  bool operator==(const Platform&) const = default;
};

// The same platform in Go's names: "x86_64" becomes "amd64", "aarch64/v8" becomes "arm64". An
// absent operating system is the host's.
Platform Normalize(Platform platform);

// "linux/arm64/v8", or an operating system or architecture alone: the other half is the host's.
// InvalidArgument otherwise, and for wildcards.
absl::StatusOr<Platform> ParsePlatform(std::string_view text);

// "os/architecture[/variant]"; "unknown" without an operating system.
std::string FormatPlatform(const Platform& platform);

// This machine.
Platform HostPlatform();

}  // namespace gantry
