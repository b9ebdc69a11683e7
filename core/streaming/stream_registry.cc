// SPDX-License-Identifier: Apache-2.0
#include "core/streaming/stream_registry.h"

#include "core/base/status.h"

namespace gantry::streaming {

void Stream::Close(const absl::Status& reason) {
  if (reason.ok()) {
    from_client.Close();
    to_client.Close();
  } else {
    from_client.Abort(reason);
    to_client.Abort(reason);
  }
}

absl::StatusOr<StreamRegistry::Registration> StreamRegistry::Register(
    const Context& ctx, const std::string& id, std::shared_ptr<Stream> stream) {
  if (id.empty() || id.size() > kMaxIdBytes) {
    return InvalidArgument("stream id of {} bytes, want 1 to {}", id.size(), kMaxIdBytes);
  }
  base::MutexLock lock(mutex_);
  Key key(ctx.ns, id);
  if (streams_.contains(key)) return AlreadyExists("stream \"{}\"", id);
  if (streams_.size() >= kMaxStreams) return ResourceExhausted("{} streams are open", kMaxStreams);
  streams_.emplace(key, Held{std::move(stream), ctx.lease, ++serial_});
  return Registration(this, std::move(key));
}

absl::StatusOr<std::shared_ptr<Stream>> StreamRegistry::Get(const Context& ctx,
                                                            const std::string& id) const {
  base::MutexLock lock(mutex_);
  const auto found = streams_.find(Key(ctx.ns, id));
  if (found == streams_.end()) return NotFound("stream \"{}\"", id);
  found->second.stream->picked_up = true;
  return found->second.stream;
}

std::vector<StreamRegistry::Entry> StreamRegistry::List() const {
  base::MutexLock lock(mutex_);
  std::vector<Entry> entries;
  for (const auto& [key, held] : streams_) {
    entries.push_back({key.first, key.second, held.lease, held.serial});
  }
  return entries;
}

std::optional<StreamRegistry::Entry> StreamRegistry::Find(const std::string& ns,
                                                          const std::string& id) const {
  base::MutexLock lock(mutex_);
  const auto found = streams_.find(Key(ns, id));
  if (found == streams_.end()) return std::nullopt;
  return Entry{ns, id, found->second.lease, found->second.serial};
}

void StreamRegistry::CloseCollected(const std::string& ns, const std::string& id,
                                    uint64_t last_serial) {
  std::shared_ptr<Stream> stream;
  {
    base::MutexLock lock(mutex_);
    const auto found = streams_.find(Key(ns, id));
    if (found == streams_.end() || found->second.serial > last_serial) return;
    stream = found->second.stream;
  }
  stream->Close(Cancelled("stream \"{}\" was collected", id));
}

void StreamRegistry::CloseAll() {
  std::vector<std::shared_ptr<Stream>> streams;
  {
    base::MutexLock lock(mutex_);
    for (const auto& [key, held] : streams_) streams.push_back(held.stream);
  }
  for (const auto& stream : streams) stream->Close(Unavailable("streams are shutting down"));
}

void StreamRegistry::Remove(const Key& key) {
  std::shared_ptr<Stream> last;  // dies without the lock
  base::MutexLock lock(mutex_);
  const auto found = streams_.find(key);
  if (found == streams_.end()) return;
  last = std::move(found->second.stream);
  streams_.erase(found);
}

}  // namespace gantry::streaming
