// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "core/base/status.h"
#include "core/kernel/unique_fd.h"
#include "services/server/server.h"
#include "services/server/socket.h"

namespace gantry::server {

struct HttpResponse {
  int code = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
};

// Answers one request; `target` is the path without query. Runs on the server's thread.
using HttpHandler = std::function<HttpResponse(std::string_view target)>;

// A small HTTP/1.1 server for operators: GET alone, one request a connection, one connection after
// the other, each for a few seconds at most. An absolute path is a unix socket, anything else
// "host:port".
class HttpServer final : public Server {
 public:
  HttpServer(SocketOptions options, HttpHandler handler)
      : options_(std::move(options)), handler_(std::move(handler)) {}
  ~HttpServer() override { Stop(absl::InfinitePast()); }

  absl::Status Start() override;
  void Stop(absl::Time) override;

 private:
  absl::StatusOr<kernel::UniqueFd> Listen() const;
  void Loop(std::stop_token stop);
  void Serve(kernel::UniqueFd connection);
  HttpResponse Respond(std::string_view request) const;

  const SocketOptions options_;
  const HttpHandler handler_;
  kernel::UniqueFd listener_;
  kernel::UniqueFd wake_;  // an eventfd, readable once the server stops
  std::jthread thread_;
};

}  // namespace gantry::server
