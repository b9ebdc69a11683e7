// SPDX-License-Identifier: Apache-2.0
#include "core/wire/proto_reader.h"

#include <cstring>

namespace gantry::wire {
namespace {

constexpr uint64_t kMaxTag = 0xFFFF'FFFF;

bool TakeVarint(std::string_view& rest, uint64_t& value) {
  value = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    if (rest.empty()) return false;
    const auto byte = static_cast<unsigned char>(rest.front());
    rest.remove_prefix(1);
    // Bits beyond 64 are dropped, as every decoder does.
    if (shift < 64) value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return true;
  }
  return false;  // more than ten bytes
}

bool TakeFixed(std::string_view& rest, size_t size, uint64_t& value) {
  if (rest.size() < size) return false;
  value = 0;
  for (size_t i = size; i > 0; --i) value = value << 8 | static_cast<unsigned char>(rest[i - 1]);
  rest.remove_prefix(size);
  return true;
}

bool TakeBytes(std::string_view& rest, std::string_view& bytes) {
  uint64_t size = 0;
  if (!TakeVarint(rest, size) || size > rest.size()) return false;
  bytes = rest.substr(0, size);
  rest.remove_prefix(size);
  return true;
}

}  // namespace

bool ProtoReader::Next() {
  if (!ok_ || rest_.empty()) return false;
  uint64_t tag = 0;
  if (!TakeVarint(rest_, tag) || tag > kMaxTag || tag >> 3 == 0) return Fail();
  field_ = static_cast<uint32_t>(tag >> 3);
  type_ = static_cast<WireType>(tag & 7);
  return ReadValue() || Fail();
}

bool ProtoReader::ReadValue() {
  switch (type_) {
    case WireType::kVarint:
      return TakeVarint(rest_, number_);
    case WireType::kFixed64:
      return TakeFixed(rest_, 8, number_);
    case WireType::kBytes:
      return TakeBytes(rest_, bytes_);
    case WireType::kFixed32:
      return TakeFixed(rest_, 4, number_);
  }
  return false;
}

void ProtoReader::Read(uint64_t& value) const {
  if (type_ == WireType::kVarint) value = number_;
}

void ProtoReader::Read(int64_t& value) const {
  if (type_ == WireType::kVarint) value = static_cast<int64_t>(number_);
}

void ProtoReader::Read(uint32_t& value) const {
  if (type_ == WireType::kVarint) value = static_cast<uint32_t>(number_);
}

void ProtoReader::Read(int32_t& value) const {
  if (type_ == WireType::kVarint) value = static_cast<int32_t>(number_);
}

void ProtoReader::Read(bool& value) const {
  if (type_ == WireType::kVarint) value = number_ != 0;
}

void ProtoReader::Read(double& value) const {
  if (type_ == WireType::kFixed64) std::memcpy(&value, &number_, sizeof(value));
}

void ProtoReader::Read(std::string_view& value) const {
  if (type_ == WireType::kBytes) value = bytes_;
}

void ProtoReader::Read(std::string& value) const {
  if (type_ == WireType::kBytes) value = bytes_;
}

void ProtoReader::Append(std::vector<std::string>& values) const {
  if (type_ == WireType::kBytes) values.emplace_back(bytes_);
}

void ProtoReader::Append(std::vector<uint64_t>& values) {
  if (type_ == WireType::kVarint) values.push_back(number_);
  if (type_ != WireType::kBytes) return;
  std::string_view packed = bytes_;
  while (!packed.empty()) {
    uint64_t value = 0;
    if (!TakeVarint(packed, value)) {
      ok_ = false;
      return;
    }
    values.push_back(value);
  }
}

}  // namespace gantry::wire
