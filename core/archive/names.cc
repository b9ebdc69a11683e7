// SPDX-License-Identifier: Apache-2.0
#include "core/archive/names.h"

namespace gantry::archive {

std::string CleanName(std::string_view name) {
  std::string clean;
  clean.reserve(name.size());
  while (!name.empty()) {
    const size_t slash = name.find('/');
    const std::string_view component = name.substr(0, slash);
    name = slash == std::string_view::npos ? std::string_view() : name.substr(slash + 1);
    if (component.empty() || component == ".") continue;
    if (component == "..") {
      const size_t last = clean.rfind('/');
      clean.resize(last == std::string::npos ? 0 : last);
      continue;
    }
    if (!clean.empty()) clean += '/';
    clean += component;
  }
  return clean;
}

SplitPath Split(std::string_view name) {
  const size_t slash = name.rfind('/');
  if (slash == std::string_view::npos) return {{}, name};
  return {name.substr(0, slash), name.substr(slash + 1)};
}

std::string JoinPath(std::string_view parent, std::string_view base) {
  std::string path(parent);
  if (!path.empty()) path += '/';
  path += base;
  return path;
}

Whiteout WhiteoutOf(std::string_view base) {
  if (!base.starts_with(kWhiteoutPrefix)) return Whiteout::kNone;
  if (base == kOpaqueMarker) return Whiteout::kOpaque;
  const std::string_view target = WhiteoutTarget(base);
  if (target.empty() || target == "." || target == "..") return Whiteout::kInvalid;
  return Whiteout::kRemove;
}

std::string_view WhiteoutTarget(std::string_view base) {
  return base.substr(kWhiteoutPrefix.size());
}

}  // namespace gantry::archive
