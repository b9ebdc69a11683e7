// SPDX-License-Identifier: Apache-2.0
#include "shim/io/stream_io.h"

#include <array>
#include <string>
#include <utility>

namespace gantry::shim {

StreamIo::StreamIo(IoContext& context, StdioRequest request)
    : request_(std::move(request)), pipes_(context), streams_(context) {}

Co<kernel::Result<void>> StreamIo::DoPrepare(Time /*deadline*/) {
  auto named = streams_.Name(request_);
  if (!named) co_return named;
  co_return pipes_.Make({!request_.in.empty(), !request_.out.empty(), !request_.err.empty()},
                        request_);
}

Co<kernel::Result<void>> StreamIo::DoConnect(Time deadline) {
  auto met = co_await streams_.Meet(deadline);
  if (!met) co_return met;
  const std::array<const std::string*, 3> texts{&request_.in, &request_.out, &request_.err};
  for (size_t stream = 0; stream < texts.size(); ++stream) {
    if (!texts[stream]->empty()) streams_.Begin(stream, pipes_.TakeOurEnd(stream));
  }
  co_return kernel::Result<void>();
}

void StreamIo::Release() {
  streams_.Close();
  pipes_.Close();
}

}  // namespace gantry::shim
