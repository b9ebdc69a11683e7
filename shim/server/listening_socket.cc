// SPDX-License-Identifier: Apache-2.0
#include "shim/server/listening_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "core/kernel/file.h"

namespace gantry::shim {
namespace {

constexpr int kBacklog = 128;

// bind(2) of a path of any length: by way of its directory's fd.
kernel::Result<void> BindAt(int socket, const std::string& path) {
  const size_t slash = path.find_last_of('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const auto opened = kernel::Open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (!opened) return opened.error();
  const std::string name =
      path.size() <= kMaxSocketPath
          ? path
          : "/proc/self/fd/" + std::to_string(opened->get()) + "/" + path.substr(slash + 1);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (name.size() >= sizeof(address.sun_path)) return kernel::Error{ENAMETOOLONG, "bind " + path};
  std::memcpy(address.sun_path, name.data(), name.size());
  if (::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    return kernel::LastError("bind " + path);
  }
  return {};
}

}  // namespace

ListeningSocket::ListeningSocket(kernel::UniqueFd fd, std::string path)
    : fd_(std::move(fd)), path_(std::move(path)) {
  struct stat found {};
  if (path_.empty() || ::lstat(path_.c_str(), &found) != 0) return;
  device_ = found.st_dev;
  inode_ = found.st_ino;
}

kernel::Result<ListeningSocket> ListeningSocket::Bind(const std::string& path) {
  kernel::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return kernel::LastError("socket");
  // The name gets the mode of the socket; nobody can connect before listen(2).
  if (::fchmod(fd.get(), 0600) != 0) return kernel::LastError("fchmod");
  if (auto bound = BindAt(fd.get(), path); !bound) return bound.error();
  ListeningSocket socket(std::move(fd), path);
  if (::chmod(path.c_str(), 0600) != 0) return kernel::LastError("chmod " + path);
  if (::listen(socket.fd(), kBacklog) != 0) return kernel::LastError("listen on " + path);
  return socket;
}

kernel::Result<ListeningSocket> ListeningSocket::Adopt(kernel::UniqueFd fd, std::string path) {
  int listens = 0;
  socklen_t size = sizeof(listens);
  const std::string what = "fd " + std::to_string(fd.get()) + " as a listening socket";
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0) {
    return kernel::LastError(what);
  }
  if (listens == 0) return kernel::Error{EINVAL, what};
  if (::fcntl(fd.get(), F_SETFD, FD_CLOEXEC) != 0 ||
      ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK) != 0) {
    return kernel::LastError(what);
  }
  if (!path.empty()) return ListeningSocket(std::move(fd), std::move(path));
  sockaddr_un address{};
  size = sizeof(address);
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return kernel::LastError(what);
  }
  if (address.sun_family == AF_UNIX && address.sun_path[0] == '/') {
    path.assign(address.sun_path, ::strnlen(address.sun_path, sizeof(address.sun_path)));
  }
  return ListeningSocket(std::move(fd), std::move(path));
}

kernel::Result<void> ListeningSocket::MoveTo(const std::string& path) {
  if (::link(path_.c_str(), path.c_str()) != 0) return kernel::LastError("link " + path);
  ::unlink(path_.c_str());
  path_ = path;
  return {};
}

bool ListeningSocket::NameIsOurs() const {
  struct stat found {};
  return inode_ != 0 && ::lstat(path_.c_str(), &found) == 0 && found.st_dev == device_ &&
         found.st_ino == inode_;
}

void ListeningSocket::Close() {
  if (!path_.empty() && NameIsOurs()) ::unlink(path_.c_str());
  path_.clear();
  fd_.Reset();
}

}  // namespace gantry::shim
