// SPDX-License-Identifier: Apache-2.0
#include "core/ttrpc/address.h"

#include <linux/vm_sockets.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "core/base/status.h"

namespace gantry::ttrpc {
namespace {

constexpr size_t kMaxListenPath = 104;
constexpr int kBacklog = 128;

struct UnixAddress {
  sockaddr_un socket{};
  socklen_t size = 0;
};

// A leading NUL makes the name abstract.
absl::StatusOr<UnixAddress> MakeUnixAddress(std::string_view path) {
  UnixAddress address;
  address.socket.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.socket.sun_path)) {
    return InvalidArgument("socket path of {} bytes", path.size());
  }
  path.copy(address.socket.sun_path, path.size());
  const bool abstract = path.front() == '\0';
  address.size =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1));
  return address;
}

absl::StatusOr<kernel::UniqueFd> Connect(int family, const sockaddr* address, socklen_t size,
                                         const std::string& name) {
  kernel::UniqueFd socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return FromErrno(errno, "socket");
  if (::connect(socket.get(), address, size) == 0 || errno == EINPROGRESS) return socket;
  const int err = errno;
  if (err == ECONNREFUSED) return Unavailable("connect to {}: {}", name, ::strerrordesc_np(err));
  // The listener is there, and its backlog is full.
  if (err == EAGAIN) return ResourceExhausted("connect to {}: {}", name, ::strerrordesc_np(err));
  return FromErrno(err, "connect to " + name);
}

absl::StatusOr<kernel::UniqueFd> ConnectUnix(std::string_view path, const std::string& name) {
  ASSIGN_OR_RETURN(const UnixAddress address, MakeUnixAddress(path));
  return Connect(AF_UNIX, reinterpret_cast<const sockaddr*>(&address.socket), address.size, name);
}

bool ParseNumber(std::string_view text, unsigned& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

absl::StatusOr<kernel::UniqueFd> ConnectVsock(std::string_view rest, const std::string& name) {
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  const size_t colon = rest.find(':');
  if (colon == std::string_view::npos || !ParseNumber(rest.substr(0, colon), address.svm_cid) ||
      !ParseNumber(rest.substr(colon + 1), address.svm_port)) {
    return InvalidArgument("address {}", name);
  }
  return Connect(AF_VSOCK, reinterpret_cast<const sockaddr*>(&address), sizeof(address), name);
}

// Whether somebody listens at the path.
bool IsServed(const std::string& path) { return ConnectUnix(path, path).ok(); }

}  // namespace

absl::StatusOr<kernel::UniqueFd> DialAddress(const std::string& address) {
  const size_t separator = address.find("://");
  if (separator == std::string::npos) {
    return ConnectUnix(std::string(1, '\0') + address, address);
  }
  const std::string scheme = address.substr(0, separator);
  const std::string rest = address.substr(separator + 3);
  if (scheme == "unix") return ConnectUnix(rest, address);
  if (scheme == "vsock") return ConnectVsock(rest, address);
  if (scheme == "hvsock") return Unimplemented("address {}", address);
  return InvalidArgument("address {}", address);
}

absl::StatusOr<kernel::UniqueFd> ListenUnix(const std::string& path, unsigned mode) {
  if (path.size() > kMaxListenPath) return InvalidArgument("socket path {} is too long", path);
  ASSIGN_OR_RETURN(const UnixAddress address, MakeUnixAddress(path));
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode)) {
    if (IsServed(path)) return AlreadyExists("socket {} is in use", path);
    if (::unlink(path.c_str()) != 0) return FromErrno(errno, "remove " + path);
  }
  kernel::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return FromErrno(errno, "socket");
  // No listener yet: nobody can connect before the mode is right.
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address.socket), address.size) != 0) {
    return FromErrno(errno, "bind " + path);
  }
  if (::chmod(path.c_str(), mode) != 0) return FromErrno(errno, "chmod " + path);
  if (::listen(socket.get(), kBacklog) != 0) return FromErrno(errno, "listen on " + path);
  return socket;
}

}  // namespace gantry::ttrpc
