// SPDX-License-Identifier: Apache-2.0
#include "core/wire/ttrpc_envelope.h"

#include <algorithm>

#include "core/wire/proto_reader.h"
#include "core/wire/proto_writer.h"

namespace gantry::wire {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool SameKey(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return Lower(x) == Lower(y); });
}

bool DecodePair(std::string_view data, std::pair<std::string, std::string>& pair) {
  ProtoReader reader(data);
  while (reader.Next()) {
    if (reader.field() == 1) reader.Read(pair.first);
    if (reader.field() == 2) reader.Read(pair.second);
  }
  return reader.ok();
}

}  // namespace

std::optional<std::string_view> FindMetadata(const Metadata& metadata, std::string_view key) {
  for (const auto& [name, value] : metadata) {
    if (SameKey(name, key)) return value;
  }
  return std::nullopt;
}

std::string EncodeRequest(const Request& request) {
  std::string out;
  out.reserve(request.payload.size() + 256);
  ProtoWriter writer(out);
  writer.PutString(1, request.service);
  writer.PutString(2, request.method);
  writer.PutString(3, request.payload);
  writer.PutInt(4, request.timeout_nano);
  for (const auto& entry : request.metadata) {
    writer.AddMessage(5, [&entry](ProtoWriter& pair) {
      pair.PutString(1, entry.first);
      pair.PutString(2, entry.second);
    });
  }
  return out;
}

std::string EncodeResponse(const Response& response) {
  std::string out;
  out.reserve(response.payload.size() + 64);
  ProtoWriter writer(out);
  if (!response.status.ok()) {
    std::string status;
    EncodeStatus(response.status, status);
    writer.AddString(1, status);
  }
  writer.PutString(2, response.payload);
  return out;
}

std::optional<Request> DecodeRequest(std::string_view data) {
  Request request;
  ProtoReader reader(data);
  while (reader.Next()) {
    std::string_view nested;
    switch (reader.field()) {
      case 1:
        reader.Read(request.service);
        break;
      case 2:
        reader.Read(request.method);
        break;
      case 3:
        reader.Read(request.payload);
        break;
      case 4:
        reader.Read(request.timeout_nano);
        break;
      case 5:
        reader.Read(nested);
        if (!DecodePair(nested, request.metadata.emplace_back())) return std::nullopt;
        break;
      default:
        break;
    }
  }
  if (!reader.ok()) return std::nullopt;
  return request;
}

std::optional<Response> DecodeResponse(std::string_view data) {
  Response response;
  ProtoReader reader(data);
  while (reader.Next()) {
    std::string_view nested;
    switch (reader.field()) {
      case 1:
        reader.Read(nested);
        if (!DecodeStatus(nested, response.status)) return std::nullopt;
        break;
      case 2:
        reader.Read(response.payload);
        break;
      default:
        break;
    }
  }
  if (!reader.ok()) return std::nullopt;
  return response;
}

}  // namespace gantry::wire
