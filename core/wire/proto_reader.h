// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gantry::wire {

enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// Reads the protobuf encoding of one message, field by field:
//
//   while (reader.Next()) {
//     switch (reader.field()) {
//       case 1: reader.Read(request.service); break;
//     }
//   }
//   if (!reader.ok()) …
//
// Nothing is copied or allocated but what Read() stores; views live as long as the input. Unknown
// fields are skipped. Groups, which proto3 does not have, are malformed.
class ProtoReader {
 public:
  explicit ProtoReader(std::string_view data) : rest_(data) {}

  // Goes to the next field. False at the end and at malformed input, which ok() tells apart.
  bool Next();
  bool ok() const { return ok_; }

  uint32_t field() const { return field_; }

  // Store the value of the field, if it has the wire type for that; otherwise change nothing, as
  // for an unknown field. Integers are cut to the width of the target.
  void Read(uint64_t& value) const;
  void Read(int64_t& value) const;
  void Read(uint32_t& value) const;
  void Read(int32_t& value) const;
  void Read(bool& value) const;
  void Read(double& value) const;
  void Read(std::string_view& value) const;
  void Read(std::string& value) const;
  // An element of a repeated field; for integers also a packed one, whose malformed content shows
  // in ok().
  void Append(std::vector<std::string>& values) const;
  void Append(std::vector<uint64_t>& values);

 private:
  bool Fail() {
    ok_ = false;
    return false;
  }
  bool ReadValue();

  std::string_view rest_;
  bool ok_ = true;
  uint32_t field_ = 0;
  WireType type_ = WireType::kVarint;
  uint64_t number_ = 0;
  std::string_view bytes_;
};

}  // namespace gantry::wire
