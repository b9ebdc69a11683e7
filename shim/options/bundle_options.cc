// SPDX-License-Identifier: Apache-2.0
#include "shim/options/bundle_options.h"

#include <utility>

#include "core/kernel/file.h"
#include "shim/options/options_json.h"

namespace gantry::shim {
namespace {

constexpr size_t kMaxFileBytes = 1UL << 20;

std::string OptionsPath(const std::string& bundle) { return bundle + "/options.json"; }
std::string RuntimePath(const std::string& bundle) { return bundle + "/runtime"; }

// A bundle lives on a tmpfs: there is no disk to wait for.
kernel::Result<void> Write(const std::string& path, std::string_view content) {
  return kernel::WriteFileAtomic(path, content, 0600, kernel::Durability::kNone);
}

}  // namespace

kernel::Result<void> WriteBundleOptions(const std::string& bundle, const RuncOptions& options) {
  return Write(OptionsPath(bundle), OptionsToJson(options));
}

kernel::Result<RuncOptions> ReadBundleOptions(const std::string& bundle) {
  const std::string path = OptionsPath(bundle);
  const auto text = kernel::ReadFile(path, kMaxFileBytes);
  if (!text) {
    if (text.error().err == ENOENT) return RuncOptions();
    return text.error();
  }
  auto options = OptionsFromJson(*text);
  if (!options) return kernel::Error{options.error().err, path + ": " + options.error().what};
  return options;
}

kernel::Result<void> WriteBundleRuntime(const std::string& bundle, const std::string& binary) {
  return Write(RuntimePath(bundle), binary);
}

kernel::Result<std::string> ReadBundleRuntime(const std::string& bundle) {
  auto binary = kernel::ReadFile(RuntimePath(bundle), kMaxFileBytes);
  if (!binary && binary.error().err == ENOENT) return std::string();
  return binary;
}

}  // namespace gantry::shim
