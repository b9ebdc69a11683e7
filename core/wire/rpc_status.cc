// SPDX-License-Identifier: Apache-2.0
#include "core/wire/rpc_status.h"

#include <array>

#include "core/wire/proto_reader.h"
#include "core/wire/proto_writer.h"

namespace gantry::wire {
namespace {

constexpr std::array<std::string_view, 17> kClassTexts = {
    "",
    "context canceled",
    "unknown",
    "invalid argument",
    "context deadline exceeded",
    "not found",
    "already exists",
    "permission denied",
    "resource exhausted",
    "failed precondition",
    "aborted",
    "out of range",
    "not implemented",
    "internal",
    "unavailable",
    "data loss",
    "unauthenticated",
};

}  // namespace

std::string_view ClassText(RpcCode code) {
  const auto index = static_cast<size_t>(code);
  return index < kClassTexts.size() ? kClassTexts[index] : std::string_view("unknown");
}

RpcStatus MakeStatus(RpcCode code, std::string message) {
  const std::string_view text = ClassText(code);
  if (message.empty()) {
    message = text;
  } else if (!message.ends_with(text)) {
    message.append(": ").append(text);
  }
  return {.code = code, .message = std::move(message), .details = {}};
}

void EncodeStatus(const RpcStatus& status, std::string& out) {
  ProtoWriter writer(out);
  writer.PutInt(1, static_cast<int32_t>(status.code));
  writer.PutString(2, status.message);
  for (const std::string& detail : status.details) writer.AddString(3, detail);
}

bool DecodeStatus(std::string_view data, RpcStatus& status) {
  ProtoReader reader(data);
  while (reader.Next()) {
    int32_t code = static_cast<int32_t>(status.code);
    switch (reader.field()) {
      case 1:
        reader.Read(code);
        status.code = static_cast<RpcCode>(code);
        break;
      case 2:
        reader.Read(status.message);
        break;
      case 3:
        reader.Append(status.details);
        break;
      default:
        break;
    }
  }
  return reader.ok();
}

}  // namespace gantry::wire
