// SPDX-License-Identifier: Apache-2.0
#include "core/wire/proto_writer.h"

#include <array>
#include <cstring>

#include "core/wire/proto_reader.h"

namespace gantry::wire {
namespace {

constexpr size_t kMaxVarintBytes = 10;

size_t EncodeVarint(uint64_t value, std::array<char, kMaxVarintBytes>& bytes) {
  size_t size = 0;
  while (value >= 0x80) {
    bytes[size++] = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  bytes[size++] = static_cast<char>(value);
  return size;
}

constexpr uint32_t Number(WireType type) { return static_cast<uint32_t>(type); }

}  // namespace

void ProtoWriter::Varint(uint64_t value) {
  std::array<char, kMaxVarintBytes> bytes{};
  out_.append(bytes.data(), EncodeVarint(value, bytes));
}

void ProtoWriter::PutDouble(uint32_t field, double value) {
  uint64_t bits = 0;
  static_assert(sizeof(bits) == sizeof(value));
  std::memcpy(&bits, &value, sizeof(bits));
  if (bits == 0) return;
  Tag(field, Number(WireType::kFixed64));
  for (int shift = 0; shift < 64; shift += 8) out_ += static_cast<char>(bits >> shift);
}

void ProtoWriter::PutPacked(uint32_t field, std::span<const uint64_t> values) {
  if (values.empty()) return;
  const size_t start = BeginMessage(field);
  for (const uint64_t value : values) Varint(value);
  EndMessage(start);
}

void ProtoWriter::AddUint(uint32_t field, uint64_t value) {
  Tag(field, Number(WireType::kVarint));
  Varint(value);
}

void ProtoWriter::AddString(uint32_t field, std::string_view value) {
  Tag(field, Number(WireType::kBytes));
  Varint(value.size());
  out_ += value;
}

void ProtoWriter::AddMapEntry(uint32_t field, std::string_view key, std::string_view value) {
  // Entries carry both parts even when they are empty.
  AddMessage(field, [&](ProtoWriter& entry) {
    entry.AddString(1, key);
    entry.AddString(2, value);
  });
}

size_t ProtoWriter::BeginMessage(uint32_t field) {
  Tag(field, Number(WireType::kBytes));
  return out_.size();
}

// The length stands before what it measures: it is put in once that is known.
void ProtoWriter::EndMessage(size_t start) {
  std::array<char, kMaxVarintBytes> bytes{};
  const size_t size = EncodeVarint(out_.size() - start, bytes);
  out_.insert(start, bytes.data(), size);
}

}  // namespace gantry::wire
