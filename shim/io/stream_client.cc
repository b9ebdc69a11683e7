// SPDX-License-Identifier: Apache-2.0
#include "shim/io/stream_client.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/wire/proto_writer.h"
#include "shim/messages/codec.h"
#include "shim/messages/streaming.h"
#include "shim/messages/types.h"

namespace gantry::shim {
namespace {

using wire::MakeStatus;
using wire::RpcCode;

void AppendVarint(std::string& out, size_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void AppendLength(std::string& out, uint32_t field, size_t size) {
  out += static_cast<char>(field << 3 | 2);
  AppendVarint(out, size);
}

// What stands before the data in an Any with a Data of that size, so that the data itself need not
// be copied into it.
std::string DataHead(size_t size) {
  std::string inner;
  AppendLength(inner, 1, size);
  std::string head;
  wire::ProtoWriter(head).AddString(1, messages::Data::kTypeName);
  AppendLength(head, 2, inner.size() + size);
  return head + inner;
}

template <typename T>
std::string Packed(const T& message) {
  return messages::Encode(messages::Pack(message));
}

}  // namespace

StreamClient::StreamClient(Loop& loop, StreamTable& table, Exchange& exchange)
    : table_(table), exchange_(exchange), over_(loop) {
  exchange_.Receive(*this);
}

bool StreamClient::SendData(std::span<char> buffer, size_t size) {
  const std::string head = DataHead(size);
  char* const begin = buffer.data() + kHeadBytes - head.size();
  std::memcpy(begin, head.data(), head.size());
  return exchange_.Send({begin, head.size() + size});
}

void StreamClient::Grant(size_t bytes) {
  exchange_.Send(Packed(messages::WindowUpdate{.update = static_cast<int32_t>(bytes)}));
}

void StreamClient::End(wire::RpcStatus status) {
  if (!over_.is_set()) status_ = std::move(status);
  over_.Set();
  table_.Leave(*this);
}

Co<wire::RpcStatus> StreamClient::Over() {
  co_await over_.Wait();
  co_return std::move(status_);
}

void StreamClient::Message(std::string_view message) {
  if (over_.is_set()) return;
  if (id_.empty()) return Open(message);
  const auto any = messages::Decode<messages::Any>(message);
  if (!any) return End(MakeStatus(RpcCode::kInvalidArgument, "message does not decode"));
  const std::string_view type = messages::TypeName(*any);
  if (type == messages::WindowUpdate::kTypeName) {
    const auto window = messages::Decode<messages::WindowUpdate>(any->value);
    if (!window || window->update < 0)
      return End(MakeStatus(RpcCode::kInvalidArgument, "window update of stream " + id_));
    credit_ += static_cast<uint64_t>(window->update);
    if (stream_ != nullptr) stream_->TakeCredit();
  } else if (type == messages::Data::kTypeName) {
    const auto data = messages::Decode<messages::Data>(any->value);
    if (!data) return End(MakeStatus(RpcCode::kInvalidArgument, "data of stream " + id_));
    if (stream_ == nullptr)
      return End(MakeStatus(RpcCode::kFailedPrecondition, "stream " + id_ + " takes no data yet"));
    stream_->TakeData(data->data);
  }  // what others may add is passed over
}

void StreamClient::Open(std::string_view message) {
  const auto any = messages::Decode<messages::Any>(message);
  const auto init = any && messages::TypeName(*any) == messages::StreamInit::kTypeName
                        ? messages::Decode<messages::StreamInit>(any->value)
                        : std::nullopt;
  if (!init || init->id.empty() || init->id.size() > kMaxIdBytes)
    return End(MakeStatus(RpcCode::kInvalidArgument, "a stream begins with its id"));
  id_ = init->id;
  exchange_.Send(messages::Encode(messages::Any{.type_url = "google.protobuf.Empty", .value = {}}));
  if (!table_.Come(*this)) {
    End(MakeStatus(RpcCode::kResourceExhausted, "too many streams wait for their processes"));
  }
}

void StreamClient::HalfClosed() {
  half_closed_ = true;
  if (stream_ != nullptr) stream_->TakeEnd();
}

void StreamClient::Written() {
  if (stream_ != nullptr) stream_->Written();
}

void StreamClient::Left() { End({}); }

}  // namespace gantry::shim
