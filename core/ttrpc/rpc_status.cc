// SPDX-License-Identifier: Apache-2.0
#include "core/ttrpc/rpc_status.h"

#include <string>
#include <string_view>

#include "absl/strings/cord.h"
#include "core/base/status.h"

namespace gantry::ttrpc {
namespace {

constexpr char kDetailsUrl[] = "type.googleapis.com/google.rpc.Status";
constexpr char kClosed[] = "ttrpc: closed";
// Never on the wire: a peer's own error may have the same text.
constexpr char kClosedMark[] = "gantry/connection-closed";

absl::StatusCode CodeFromWire(wire::RpcCode code) {
  const auto number = static_cast<int>(code);
  return number >= 0 && number <= 16 ? static_cast<absl::StatusCode>(number)
                                     : absl::StatusCode::kUnknown;
}

}  // namespace

absl::Status FromWire(const wire::RpcStatus& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(CodeFromWire(status.code), status.message);
  if (!status.details.empty()) {
    std::string encoded;
    wire::EncodeStatus(status, encoded);
    result.SetPayload(kDetailsUrl, absl::Cord(encoded));
  }
  return result;
}

wire::RpcStatus ToWire(const absl::Status& status) {
  wire::RpcStatus result;
  if (status.ok()) return result;
  if (const auto encoded = status.GetPayload(kDetailsUrl)) {
    wire::RpcStatus whole;
    if (wire::DecodeStatus(std::string(*encoded), whole)) result.details = std::move(whole.details);
  }
  result.code = static_cast<wire::RpcCode>(status.code());
  result.message = WireMessage(status);
  return result;
}

absl::Status ClosedError() {
  absl::Status closed = absl::UnknownError(kClosed);
  closed.SetPayload(kClosedMark, absl::Cord());
  return closed;
}

bool IsClosed(const absl::Status& status) { return status.GetPayload(kClosedMark).has_value(); }

}  // namespace gantry::ttrpc
