// SPDX-License-Identifier: Apache-2.0
#include "shim/io/stream_table.h"

#include <cerrno>
#include <utility>

#include "core/wire/rpc_status.h"
#include "shim/io/stream_client.h"

namespace gantry::shim {

kernel::Result<void> StreamTable::Add(const std::string& id, NamedStream& stream) {
  Place& place = places_[id];
  if (place.stream != nullptr) return kernel::Error{EEXIST, "stream " + id};
  place.stream = &stream;
  if (place.client == nullptr) return {};
  --waiting_;
  place.client->Meet(&stream);
  stream.Attach(*place.client);
  return {};
}

void StreamTable::Remove(const std::string& id) {
  const auto removed = places_.extract(id);
  if (removed.empty() || removed.mapped().client == nullptr) return;
  removed.mapped().client->Meet(nullptr);
  removed.mapped().client->End({});
}

bool StreamTable::Come(StreamClient& client) {
  const auto found = places_.find(client.id());
  const bool is_new = found == places_.end();
  if (is_new && waiting_ >= kMaxWaiting) return false;
  Place& place = is_new ? places_[client.id()] : found->second;
  if (StreamClient* earlier = std::exchange(place.client, &client)) {
    if (place.stream != nullptr) place.stream->Detach();
    earlier->Meet(nullptr);
    earlier->End(
        wire::MakeStatus(wire::RpcCode::kAborted, "stream " + client.id() + " was opened anew"));
  } else if (place.stream == nullptr) {
    ++waiting_;
  }
  if (place.stream == nullptr) return true;
  client.Meet(place.stream);
  place.stream->Attach(client);
  return true;
}

void StreamTable::Leave(StreamClient& client) {
  const auto found = places_.find(client.id());
  if (found == places_.end() || found->second.client != &client) return;
  NamedStream* const stream = found->second.stream;
  found->second.client = nullptr;
  client.Meet(nullptr);
  if (stream != nullptr) return stream->Detach();
  --waiting_;
  places_.erase(found);
}

}  // namespace gantry::shim
