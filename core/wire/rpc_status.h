// SPDX-License-Identifier: Apache-2.0
// The outcome of a call as it travels: google.rpc.Status.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gantry::wire {

enum class RpcCode : int32_t {
  kOk = 0,
  kCanceled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

struct RpcStatus {
  RpcCode code = RpcCode::kOk;
  std::string message;
  std::vector<std::string> details;  // encoded google.protobuf.Any, passed through unread

  bool ok() const { return code == RpcCode::kOk; }
  bool operator==(const RpcStatus&) const = default;
};

// What a message of this code ends in, after ": ", so that Go clients know its class. Empty for OK.
std::string_view ClassText(RpcCode code);

// A status whose message ends in its class text.
RpcStatus MakeStatus(RpcCode code, std::string message);

void EncodeStatus(const RpcStatus& status, std::string& out);
// False for malformed bytes.
bool DecodeStatus(std::string_view data, RpcStatus& status);

}  // namespace gantry::wire
