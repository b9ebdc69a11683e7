// SPDX-License-Identifier: Apache-2.0
#include "services/server/http_server.h"

#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <cerrno>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "core/log/log.h"

namespace gantry::server {
namespace {

namespace http = boost::beast::http;

constexpr int kBacklog = 16;
constexpr unsigned kMaxPort = 65535;
constexpr size_t kMaxRequestBytes = 8192;
constexpr absl::Duration kBudget = absl::Seconds(5);  // of one connection

// Waits for `events` on the connection; false once it is too late.
bool AwaitUntil(int fd, short events, absl::Time deadline) {
  const auto left = absl::ToInt64Milliseconds(deadline - absl::Now());
  pollfd waited{.fd = fd, .events = events, .revents = 0};
  return left > 0 && ::poll(&waited, 1, static_cast<int>(left)) > 0;
}

// The request's head, whole or as much as came.
std::string ReadHead(int fd, absl::Time deadline) {
  std::string head;
  while (head.size() < kMaxRequestBytes && head.find("\r\n\r\n") == std::string::npos) {
    char buffer[2048];
    if (!AwaitUntil(fd, POLLIN, deadline)) break;
    const ssize_t count = ::recv(fd, buffer, sizeof(buffer), 0);
    if (count <= 0) break;
    head.append(buffer, static_cast<size_t>(count));
  }
  return head;
}

void WriteAll(int fd, std::string_view data, absl::Time deadline) {
  while (!data.empty() && AwaitUntil(fd, POLLOUT, deadline)) {
    const ssize_t count = ::send(fd, data.data(), data.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno != EAGAIN && errno != EINTR) return;
    if (count > 0) data.remove_prefix(static_cast<size_t>(count));
  }
}

std::string Serialize(const HttpResponse& response) {
  return fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
      response.code, std::string(http::obsolete_reason(static_cast<http::status>(response.code))),
      response.type, response.body.size(), response.body);
}

absl::StatusOr<kernel::UniqueFd> BindAndListen(const sockaddr* address, socklen_t size,
                                               const std::string& name) {
  kernel::UniqueFd fd(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      ::bind(fd.get(), address, size) != 0 || ::listen(fd.get(), kBacklog) != 0) {
    return FromErrno(errno, fmt::format("listen on {}", name));
  }
  return fd;
}

absl::StatusOr<kernel::UniqueFd> ListenTcp(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) {
    return InvalidArgument("address \"{}\" is neither host:port nor a path", address);
  }
  std::string host = address.substr(0, colon);
  const std::string port = address.substr(colon + 1);
  // The resolver would cut a number that is too large.
  if (unsigned number = 0; !absl::SimpleAtoi(port, &number) || number > kMaxPort) {
    return InvalidArgument("address \"{}\" has no port number", address);
  }
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int failed =
      ::getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &found);
  if (failed != 0) {
    return InvalidArgument("address \"{}\": {}", address, ::gai_strerror(failed));
  }
  const absl::Cleanup release = [found] { ::freeaddrinfo(found); };
  return BindAndListen(found->ai_addr, found->ai_addrlen, address);
}

absl::StatusOr<kernel::UniqueFd> ListenUnix(const SocketOptions& options) {
  RETURN_IF_ERROR(PrepareSocket(options));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, options.address.c_str(), options.address.size());
  ASSIGN_OR_RETURN(kernel::UniqueFd fd, BindAndListen(reinterpret_cast<sockaddr*>(&address),
                                                      sizeof(address), options.address));
  RETURN_IF_ERROR(ProtectSocket(options));
  return fd;
}

bool IsPath(const std::string& address) { return address.starts_with('/'); }

}  // namespace

absl::StatusOr<kernel::UniqueFd> HttpServer::Listen() const {
  return IsPath(options_.address) ? ListenUnix(options_) : ListenTcp(options_.address);
}

absl::Status HttpServer::Start() {
  ASSIGN_OR_RETURN(listener_, Listen());
  wake_ = kernel::UniqueFd(::eventfd(0, EFD_CLOEXEC));
  if (!wake_) return FromErrno(errno, "eventfd");
  thread_ = std::jthread([this](std::stop_token stop) { Loop(std::move(stop)); });
  log::Info("serving HTTP", {{"address", options_.address}});
  return absl::OkStatus();
}

void HttpServer::Stop(absl::Time) {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  ::eventfd_write(wake_.get(), 1);
  thread_.join();
  listener_.Reset();
  if (IsPath(options_.address)) ::unlink(options_.address.c_str());
}

void HttpServer::Loop(std::stop_token stop) {
  ::pthread_setname_np(::pthread_self(), "http");
  while (!stop.stop_requested()) {
    pollfd waited[] = {{.fd = listener_.get(), .events = POLLIN, .revents = 0},
                       {.fd = wake_.get(), .events = POLLIN, .revents = 0}};
    if (::poll(waited, 2, -1) <= 0 || (waited[1].revents != 0)) continue;
    kernel::UniqueFd connection(
        ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (connection) {
      Serve(std::move(connection));
    } else if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
      absl::SleepFor(absl::Milliseconds(100));  // Out of descriptors, say: that passes.
    }
  }
}

void HttpServer::Serve(kernel::UniqueFd connection) {
  const absl::Time deadline = absl::Now() + kBudget;
  const std::string head = ReadHead(connection.get(), deadline);
  WriteAll(connection.get(), Serialize(Respond(head)), deadline);
}

HttpResponse HttpServer::Respond(std::string_view request) const {
  http::request_parser<http::empty_body> parser;
  parser.header_limit(kMaxRequestBytes);
  parser.eager(false);
  boost::beast::error_code error;
  parser.put(boost::asio::buffer(request.data(), request.size()), error);
  if (error || !parser.is_header_done()) return {.code = 400, .body = "bad request\n"};
  if (parser.get().method() != http::verb::get) return {.code = 405, .body = "GET alone\n"};
  const std::string target(parser.get().target());
  return handler_(std::string_view(target).substr(0, target.find('?')));
}

}  // namespace gantry::server
