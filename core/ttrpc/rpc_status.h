// SPDX-License-Identifier: Apache-2.0
// Statuses between ttrpc and the daemon: codes and messages are kept, details pass through.
#pragma once

#include "absl/status/status.h"
#include "core/wire/rpc_status.h"

namespace gantry::ttrpc {

// Codes beyond google.rpc's become Unknown. Details stand in the status as a payload that holds an
// encoded google.rpc.Status, which is what gRPC wants as its error details.
absl::Status FromWire(const wire::RpcStatus& status);

// The message ends in the class text of its code.
wire::RpcStatus ToWire(const absl::Status& status);

// What calls over a lost connection end with. Clients look for the text's end, "ttrpc: closed".
absl::Status ClosedError();
// Whether it is our own connection that is lost; false of a peer's error with the same text.
bool IsClosed(const absl::Status& status);

}  // namespace gantry::ttrpc
