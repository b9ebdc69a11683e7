// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace gantry::wire {

// Writes the protobuf encoding of one message to the end of a string.
//
// As proto3 wants it, the Put… methods leave out a field that has its default value, and the Add…
// methods (elements of repeated fields, messages that are present though empty) write it always.
// Fields written in the order of their numbers give the bytes that libprotobuf gives.
class ProtoWriter {
 public:
  explicit ProtoWriter(std::string& out) : out_(out) {}  // borrowed

  void PutUint(uint32_t field, uint64_t value) {
    if (value != 0) AddUint(field, value);
  }
  void PutInt(uint32_t field, int64_t value) { PutUint(field, static_cast<uint64_t>(value)); }
  void PutBool(uint32_t field, bool value) { PutUint(field, value ? 1 : 0); }
  void PutDouble(uint32_t field, double value);
  void PutString(uint32_t field, std::string_view value) {
    if (!value.empty()) AddString(field, value);
  }
  // A packed repeated field of integers.
  void PutPacked(uint32_t field, std::span<const uint64_t> values);

  void AddUint(uint32_t field, uint64_t value);
  void AddString(uint32_t field, std::string_view value);

  // A nested message, written by `body(ProtoWriter&)`.
  template <typename Body>
  void AddMessage(uint32_t field, Body&& body) {
    const size_t start = BeginMessage(field);
    std::forward<Body>(body)(*this);
    EndMessage(start);
  }

  // An entry of a map<string, string>.
  void AddMapEntry(uint32_t field, std::string_view key, std::string_view value);

 private:
  void Varint(uint64_t value);
  void Tag(uint32_t field, uint32_t type) { Varint(uint64_t{field} << 3 | type); }
  size_t BeginMessage(uint32_t field);
  void EndMessage(size_t start);

  std::string& out_;
};

}  // namespace gantry::wire
