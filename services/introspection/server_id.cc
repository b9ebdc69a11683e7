// SPDX-License-Identifier: Apache-2.0
#include "services/introspection/server_id.h"

#include <cerrno>

#include "absl/strings/ascii.h"
#include "core/base/kernel_status.h"
#include "core/kernel/file.h"

namespace gantry::introspection {
namespace {

constexpr size_t kMaxFileBytes = 4096;
constexpr mode_t kFileMode = 0644;
constexpr size_t kUuidBytes = 16;

bool IsUuid(const std::string& text) {
  constexpr size_t kLength = 36;
  if (text.size() != kLength) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !absl::ascii_isxdigit(static_cast<unsigned char>(text[i])))
      return false;
  }
  return true;
}

// A random UUID (RFC 9562, version 4).
std::string MakeUuid() {
  std::string hex = kernel::RandomHex(kUuidBytes);
  hex[12] = '4';
  constexpr std::string_view kVariants = "89ab";
  hex[16] = kVariants[static_cast<size_t>(hex[16]) % kVariants.size()];
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" +
         hex.substr(16, 4) + "-" + hex.substr(20);
}

}  // namespace

absl::StatusOr<std::string> ServerId(const std::filesystem::path& folder) {
  const std::string file = (folder / "uuid").string();
  const auto stored = kernel::ReadFile(file, kMaxFileBytes);
  if (!stored && stored.error().err != ENOENT) return ToStatus(stored.error());
  if (stored) {
    const std::string id(absl::StripAsciiWhitespace(*stored));
    if (IsUuid(id)) return id;
    if (!id.empty()) return Unknown("{} holds no UUID", file);
  }
  const std::string id = MakeUuid();
  RETURN_IF_ERROR(ToStatus(
      kernel::WriteFileAtomic(file, id, kFileMode, kernel::Durability::kFileAndDirectory)));
  return id;
}

}  // namespace gantry::introspection
