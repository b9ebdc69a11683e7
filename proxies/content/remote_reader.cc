// SPDX-License-Identifier: Apache-2.0
#include "proxies/content/remote_reader.h"

#include <algorithm>
#include <cstring>

#include "proxies/content/remote_backend.h"

namespace gantry::proxies {

namespace pb = ::containerd::services::content::v1;

absl::StatusOr<size_t> RemoteReader::ReadAt(int64_t offset, std::span<char> buffer) {
  const int64_t left = std::max<int64_t>(size_ - offset, 0);
  const size_t wanted = std::min(buffer.size(), static_cast<size_t>(left));
  if (wanted == 0) return 0;  // A size of 0 would mean all the rest.
  pb::ReadContentRequest request;
  request.set_digest(digest_.str());
  request.set_offset(offset);
  request.set_size(static_cast<int64_t>(wanted));
  size_t filled = 0;
  const absl::Status status = backend_.Call(ctx_, [&](RemoteBackend::Stub& stub, auto& call) {
    const auto stream = stub.Read(&call, request);
    pb::ReadContentResponse message;
    while (filled < wanted && stream->Read(&message)) {
      const size_t count = std::min(message.data().size(), wanted - filled);
      std::memcpy(buffer.data() + filled, message.data().data(), count);
      filled += count;
    }
    // Whoever sends more than was asked for is not waited for.
    if (filled == wanted) call.TryCancel();
    return stream->Finish();
  });
  if (filled == wanted) return filled;
  RETURN_IF_ERROR(status);
  return DataLoss("content {} ends at {} of {} bytes", digest_.str(),
                  offset + static_cast<int64_t>(filled), size_);
}

}  // namespace gantry::proxies
