// SPDX-License-Identifier: Apache-2.0
// What ttrpc frames carry: ttrpc.Request and ttrpc.Response.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/wire/rpc_status.h"

namespace gantry::wire {

// Keys may repeat, and the first one counts. Sent in lower case, compared in any.
using Metadata = std::vector<std::pair<std::string, std::string>>;

std::optional<std::string_view> FindMetadata(const Metadata& metadata, std::string_view key);

struct Request {
  std::string service;  // full protobuf name
  std::string method;   // bare name
  std::string payload;
  int64_t timeout_nano = 0;  // relative; 0: none; negative: expired before it was sent
  Metadata metadata;

  bool operator==(const Request&) const = default;
};

struct Response {
  RpcStatus status;
  std::string payload;

  bool operator==(const Response&) const = default;
};

std::string EncodeRequest(const Request& request);
std::string EncodeResponse(const Response& response);

// Nothing for malformed bytes.
std::optional<Request> DecodeRequest(std::string_view data);
std::optional<Response> DecodeResponse(std::string_view data);

}  // namespace gantry::wire
