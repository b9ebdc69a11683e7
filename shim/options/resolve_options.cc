// SPDX-License-Identifier: Apache-2.0
#include "shim/options/resolve_options.h"

#include <sys/stat.h>

#include <limits>
#include <utility>
#include <variant>
#include <vector>

#include "core/kernel/file.h"
#include "shim/messages/codec.h"
#include "shim/options/toml_lines.h"

namespace gantry::shim {
namespace {

using messages::Any;
using messages::linux_runc::CreateOptions;
using GenericOptions = messages::runtimeoptions_v1::Options;

constexpr size_t kNamedInWarning = 8;
constexpr size_t kShownBytes = 64;  // of a text that somebody sent

std::string Shown(std::string_view text) { return std::string(text.substr(0, kShownBytes)); }

// Options are sent as an Any that may be there though empty.
bool IsPresent(const std::optional<Any>& sent) { return sent && !sent->type_url.empty(); }

template <typename T>
kernel::Result<T> DecodeSent(const Any& sent) {
  auto message = messages::Decode<T>(sent.value);
  if (!message) return kernel::Error{EINVAL, "decode " + std::string(T::kTypeName)};
  return *std::move(message);
}

std::string Warning(const std::vector<std::string>& ignored) {
  std::string text;
  for (size_t i = 0; i < ignored.size() && i < kNamedInWarning; ++i) {
    text += i == 0 ? "runtime options not understood: " : "; ";
    text += ignored[i];
  }
  if (ignored.size() > kNamedInWarning) {
    text += "; and " + std::to_string(ignored.size() - kNamedInWarning) + " more";
  }
  return text;
}

// SystemdCgroup, systemd_cgroup and the like: one key.
bool SameKey(std::string_view key, std::string_view name) {
  const auto next = [](std::string_view& text) {
    while (text.starts_with('_')) text.remove_prefix(1);
    if (text.empty()) return '\0';
    const char letter = text.front();
    text.remove_prefix(1);
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
  };
  while (true) {
    const char letter = next(key);
    if (letter != next(name)) return false;
    if (letter == '\0') return key.empty() && name.empty();
  }
}

bool Assign(const TomlValue& value, bool& member) {
  const bool* flag = std::get_if<bool>(&value);
  if (flag != nullptr) member = *flag;
  return flag != nullptr;
}

bool Assign(const TomlValue& value, uint32_t& member) {
  const int64_t* number = std::get_if<int64_t>(&value);
  if (number == nullptr || *number < 0 || *number > std::numeric_limits<uint32_t>::max()) {
    return false;
  }
  member = static_cast<uint32_t>(*number);
  return true;
}

bool Assign(const TomlValue& value, std::string& member) {
  const std::string* text = std::get_if<std::string>(&value);
  if (text != nullptr) member = *text;
  return text != nullptr;
}

kernel::Result<ResolvedOptions> FromToml(std::string_view text) {
  auto lines = ReadTomlLines(text);
  if (!lines) return std::move(lines).error();
  ResolvedOptions resolved;
  for (const TomlEntry& entry : lines->entries) {
    bool known = false;
    bool fits = false;
    VisitRuncOptions(resolved.options, [&](std::string_view name, auto& member) {
      if (!SameKey(entry.key, name)) return;
      known = true;
      fits = Assign(entry.value, member);
    });
    const std::string place = "line " + std::to_string(entry.line) + ", " + Shown(entry.key);
    if (!known) lines->ignored.push_back(place);
    if (known && !fits) return kernel::Error{EINVAL, place + ": value of another kind"};
  }
  resolved.warning = Warning(lines->ignored);
  return resolved;
}

// Whoever names a fifo or a device must not make us wait for it.
kernel::Result<std::string> ReadRegularFile(const std::string& path) {
  auto fd = kernel::Open(path, O_RDONLY | O_NONBLOCK);
  if (!fd) return std::move(fd).error();
  struct stat status {};
  if (::fstat(fd->get(), &status) != 0) return kernel::LastError("stat " + path);
  if (!S_ISREG(status.st_mode)) return kernel::Error{EINVAL, "read " + path + ", no regular file"};
  return kernel::ReadAll(fd->get(), kMaxOptionsFileBytes, path);
}

kernel::Result<ResolvedOptions> FromGeneric(const Any& sent) {
  const auto generic = DecodeSent<GenericOptions>(sent);
  if (!generic) return generic.error();
  std::string source = "runtime options";
  std::string text = generic->config_body;
  if (text.empty() && !generic->config_path.empty()) {
    source = generic->config_path;
    auto content = ReadRegularFile(source);
    if (!content) return std::move(content).error();
    text = *std::move(content);
  }
  auto resolved = FromToml(text);
  if (!resolved) return kernel::Error{resolved.error().err, source + ": " + resolved.error().what};
  return resolved;
}

kernel::Result<ResolvedOptions> FromFirstGeneration(const Any& sent) {
  auto create = DecodeSent<CreateOptions>(sent);
  if (!create) return std::move(create).error();
  ResolvedOptions resolved;
  resolved.options.no_pivot_root = create->no_pivot_root;
  resolved.options.no_new_keyring = create->no_new_keyring;
  resolved.options.shim_cgroup = std::move(create->shim_cgroup);
  resolved.options.io_uid = create->io_uid;
  resolved.options.io_gid = create->io_gid;
  resolved.options.criu_image_path = std::move(create->criu_image_path);
  resolved.options.criu_work_path = std::move(create->criu_work_path);
  return resolved;
}

}  // namespace

kernel::Result<ResolvedOptions> ResolveOptions(const std::optional<Any>& sent) {
  ResolvedOptions resolved;
  if (!IsPresent(sent)) return resolved;
  const std::string_view type = messages::TypeName(*sent);
  if (type == RuncOptions::kTypeName) {
    auto options = DecodeSent<RuncOptions>(*sent);
    if (!options) return std::move(options).error();
    resolved.options = *std::move(options);
    return resolved;
  }
  if (type == GenericOptions::kTypeName) return FromGeneric(*sent);
  if (type == CreateOptions::kTypeName) return FromFirstGeneration(*sent);
  resolved.warning = "runtime options of unknown type " + Shown(type) + ", using the defaults";
  return resolved;
}

kernel::Result<CheckpointOptions> ResolveCheckpointOptions(const std::optional<Any>& sent) {
  if (!IsPresent(sent)) return CheckpointOptions();
  const std::string_view type = messages::TypeName(*sent);
  if (type != CheckpointOptions::kTypeName) {
    return kernel::Error{EINVAL, "checkpoint options of unknown type " + Shown(type)};
  }
  return DecodeSent<CheckpointOptions>(*sent);
}

}  // namespace gantry::shim
