// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/wire/rpc_status.h"
#include "shim/io/io_context.h"
#include "shim/loop/co.h"
#include "shim/server/call.h"

namespace gantry::shim {

// The service containerd.services.streaming.v1.Streaming: where clients open the streams of
// processes, in any order with what makes these.
class StreamService {
 public:
  explicit StreamService(IoContext& context);
  StreamService(const StreamService&) = delete;

  const ExchangeMethods& methods() const { return methods_; }

 private:
  static Co<wire::RpcStatus> Serve(IoContext& context, Call call, Exchange& exchange);

  ExchangeMethods methods_;
};

}  // namespace gantry::shim
