// SPDX-License-Identifier: Apache-2.0
#include "shim/group/socket_path.h"

#include <algorithm>
#include <vector>

#include "shim/group/sha256.h"

namespace gantry::shim {
namespace {

// Without empty parts, as Go's filepath.Join.
std::string JoinPath(std::initializer_list<std::string_view> parts) {
  std::string path;
  for (const std::string_view part : parts) {
    if (part.empty()) continue;
    if (!path.empty()) path += '/';
    path += part;
  }
  return path.empty() ? path : CleanPath(path);
}

}  // namespace

std::string CleanPath(std::string_view path) {
  const bool absolute = path.starts_with('/');
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (!parts.empty() && parts.back() != "..") {
      parts.pop_back();
    } else if (!absolute) {
      parts.push_back(part);
    }
  }
  std::string clean;
  for (const std::string_view part : parts) {
    if (absolute || !clean.empty()) clean += '/';
    clean += part;
  }
  if (clean.empty()) return absolute ? "/" : ".";
  return clean;
}

std::string SocketPath(const std::string& directory, const std::string& grpc_address,
                       const std::string& ns, const std::string& group) {
  return JoinPath({directory, Sha256Hex(JoinPath({grpc_address, ns, group}))});
}

}  // namespace gantry::shim
