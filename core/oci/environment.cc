// SPDX-License-Identifier: Apache-2.0
#include "core/oci/environment.h"

#include <algorithm>
#include <map>
#include <string_view>

#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/kernel/file.h"

namespace gantry::oci {
namespace {

constexpr size_t kMaxFileBytes = size_t{4} << 20;

std::string KeyOf(const std::string& entry) { return entry.substr(0, entry.find('=')); }

}  // namespace

std::vector<std::string> MergeEnvironment(std::vector<std::string> base,
                                          const std::vector<std::string>& changes) {
  std::map<std::string, size_t> places;
  for (size_t i = 0; i < base.size(); ++i) places[KeyOf(base[i])] = i;
  for (const std::string& change : changes) {
    const auto place = places.find(KeyOf(change));
    if (change.find('=') == std::string::npos) {
      if (place != places.end()) base[place->second].clear();
    } else if (place != places.end()) {
      base[place->second] = change;
    } else {
      base.push_back(change);
    }
  }
  std::erase(base, "");
  return base;
}

absl::StatusOr<std::vector<std::string>> ReadEnvironmentFile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ToStatusOr(kernel::ReadFile(path, kMaxFileBytes)));
  std::vector<std::string> lines;
  std::string_view rest = text;
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.emplace_back(line);
  }
  return lines;
}

}  // namespace gantry::oci
