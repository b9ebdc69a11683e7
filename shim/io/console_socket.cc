// SPDX-License-Identifier: Apache-2.0
#include "shim/io/console_socket.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "core/kernel/file.h"
#include "shim/loop/wait.h"

namespace gantry::shim {
namespace {

constexpr size_t kMaxNameBytes = 4096;  // of the terminal, which comes with it
constexpr size_t kMaxFds = 4;           // taken in, so as to close them

kernel::Result<void> Bind(int socket, const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return kernel::Error{ENAMETOOLONG, "bind " + path};
  std::memcpy(address.sun_path, path.data(), path.size());
  if (::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    return kernel::LastError("bind " + path);
  return {};
}

std::vector<kernel::UniqueFd> FdsOf(msghdr& message) {
  std::vector<kernel::UniqueFd> fds;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(fd));
      fds.emplace_back(fd);
    }
  }
  return fds;
}

kernel::Result<kernel::UniqueFd> ReceiveTerminal(int connection) {
  std::array<char, kMaxNameBytes> name;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxFds * sizeof(int))> control;
  iovec data{.iov_base = name.data(), .iov_len = name.size()};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t count = ::recvmsg(connection, &message, MSG_CMSG_CLOEXEC);
  if (count < 0) return kernel::LastError("receive the terminal");
  std::vector<kernel::UniqueFd> fds = FdsOf(message);
  const bool cut = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
  if (fds.size() != 1 || cut || static_cast<size_t>(count) >= kMaxNameBytes)
    return kernel::Error{EPROTO, "receive one terminal"};
  if (::isatty(fds[0].get()) == 0) return kernel::Error{EPROTO, "receive a terminal"};
  return std::move(fds[0]);
}

}  // namespace

kernel::Result<ConsoleSocket> ConsoleSocket::Listen(const std::string& bundle) {
  auto directory = kernel::Open(bundle, O_PATH | O_DIRECTORY);
  if (!directory) return directory.error();
  const std::string in_bundle = "/fd/" + std::to_string(directory->get()) + "/";
  ConsoleSocket made(*std::move(directory), "pty" + kernel::RandomHex(4) + ".sock");
  const std::string path = bundle + "/" + made.name_;
  const std::string through_fd = "/proc/" + std::to_string(::getpid()) + in_bundle + made.name_;
  made.address_ = path.size() < sizeof(sockaddr_un::sun_path) ? path : through_fd;
  kernel::UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener) return kernel::LastError("socket");
  if (auto bound = Bind(listener.get(), made.address_); !bound) return bound.error();
  made.listener_ = std::move(listener);  // from here on there is something to remove
  if (::listen(made.listener_.get(), 1) != 0) return kernel::LastError("listen at " + path);
  return made;
}

ConsoleSocket::~ConsoleSocket() {
  if (listener_) ::unlinkat(bundle_.get(), name_.c_str(), 0);
}

Co<kernel::Result<kernel::UniqueFd>> ConsoleSocket::Receive(Loop& loop, Time deadline) {
  auto ready = co_await WaitReady(loop, listener_.get(), EPOLLIN, deadline);
  if (!ready) co_return kernel::Error{ready.error().err, "wait for the terminal at " + address_};
  kernel::UniqueFd connection(
      ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!connection) co_return kernel::LastError("accept at " + address_);
  ready = co_await WaitReady(loop, connection.get(), EPOLLIN, deadline);
  if (!ready) co_return kernel::Error{ready.error().err, "wait for the terminal at " + address_};
  co_return ReceiveTerminal(connection.get());
}

}  // namespace gantry::shim
