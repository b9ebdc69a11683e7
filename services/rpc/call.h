// SPDX-License-Identifier: Apache-2.0
// From a gRPC call to a Context, and from a status to gRPC's.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <stop_token>

#include "core/base/context.h"
#include "core/base/status.h"

namespace gantry::rpc {

enum class Namespace { kRequired, kIgnored };

// Namespace and lease from the call's metadata (the first value of each counts), its deadline, and
// `stop`. With kRequired: FailedPrecondition for an absent or empty namespace, InvalidArgument for
// one that is no identifier.
absl::StatusOr<Context> MakeContext(const grpc::CallbackServerContext& call, Namespace needs,
                                    std::stop_token stop);

// Codes have the same numbers; the message gets its class text (base/status.h).
grpc::Status ToGrpc(const absl::Status& status);

// A status that came from a gRPC peer, message unchanged.
absl::Status FromGrpc(const grpc::Status& status);

}  // namespace gantry::rpc
