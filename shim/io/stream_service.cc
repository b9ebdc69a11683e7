// SPDX-License-Identifier: Apache-2.0
#include "shim/io/stream_service.h"

#include <utility>

#include "shim/io/stream_client.h"

namespace gantry::shim {

StreamService::StreamService(IoContext& context) {
  methods_.emplace("Stream", [&context](Call call, Exchange& exchange) {
    return Serve(context, std::move(call), exchange);
  });
}

Co<wire::RpcStatus> StreamService::Serve(IoContext& context, Call /*call*/, Exchange& exchange) {
  StreamClient client(context.loop, context.streams, exchange);
  co_return co_await client.Over();
}

}  // namespace gantry::shim
