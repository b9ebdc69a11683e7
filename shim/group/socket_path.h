// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace gantry::shim {

// Where shims make their sockets unless the daemon says otherwise.
inline constexpr char kSocketDirectory[] = "/run/containerd/s";
// In a bundle, a link to the directory that the daemon has named instead.
inline constexpr char kSocketDirectoryLink[] = "s";

// The shortest path that means the same as `path`, symlinks aside, as Go's filepath.Clean.
std::string CleanPath(std::string_view path);

// The socket of the shim that serves a group, made of what all its starts have in common. Shims of
// other makes use the same name, so that they find each other.
std::string SocketPath(const std::string& directory, const std::string& grpc_address,
                       const std::string& ns, const std::string& group);

}  // namespace gantry::shim
