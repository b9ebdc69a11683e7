// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "core/wire/proto_writer.h"

namespace gantry::shim::messages {

// Writes a message: called by the message's Fields() with each field's number and value. Fields()
// names them in the order of their numbers, so the bytes are those that libprotobuf gives.
class FieldWriter {
 public:
  explicit FieldWriter(std::string& out) : writer_(out) {}  // borrowed

  void operator()(uint32_t number, const std::string& value) { writer_.PutString(number, value); }
  void operator()(uint32_t number, double value) { writer_.PutDouble(number, value); }

  template <typename T>
    requires(std::integral<T> || std::is_enum_v<T>)
  void operator()(uint32_t number, T value) {
    // Negative numbers of any width are written as 64 bits.
    writer_.PutInt(number, static_cast<int64_t>(value));
  }

  template <typename T>
  void operator()(uint32_t number, const std::optional<T>& value) {
    if (value) Add(number, *value);
  }

  template <typename T>
  void operator()(uint32_t number, const std::vector<T>& values) {
    if constexpr (std::integral<T>) {
      writer_.PutPacked(number, values);
    } else if constexpr (std::is_enum_v<T>) {
      std::vector<uint64_t> raw;
      for (const T value : values) raw.push_back(static_cast<uint64_t>(value));
      writer_.PutPacked(number, raw);
    } else {
      for (const T& value : values) Add(number, value);
    }
  }

  template <typename T>
  void operator()(uint32_t number, const std::map<std::string, T>& values) {
    for (const auto& [key, value] : values) {
      writer_.AddMessage(number, [&, this](wire::ProtoWriter&) {
        Add(1, key);
        Add(2, value);
      });
    }
  }

 private:
  // Writes what is present, though it be empty.
  void Add(uint32_t number, const std::string& value) { writer_.AddString(number, value); }

  template <typename T>
  void Add(uint32_t number, const T& message) {
    writer_.AddMessage(number, [&, this](wire::ProtoWriter&) { T::Fields(message, *this); });
  }

  wire::ProtoWriter writer_;
};

}  // namespace gantry::shim::messages
