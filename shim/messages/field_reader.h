// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/wire/proto_reader.h"

namespace gantry::shim::messages {

// Fills a message from its encoding: called by the message's Fields() with each field's number and
// member, it stores the value that is at hand in the member that it belongs to.
//
// As protobuf wants it, the last of several scalars wins, several pieces of a sub-message are
// merged, and unknown fields are skipped.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : reader_(bytes) {}

  // False for malformed bytes; `message` may then be half filled.
  template <typename T>
  bool ReadInto(T& message) {
    while (ok_ && reader_.Next()) T::Fields(message, *this);
    return ok_ && reader_.ok();
  }

  template <typename T>
  void operator()(uint32_t number, T& value) {
    if (reader_.field() == number) Take(value);
  }

 private:
  template <typename T>
  struct MapEntry {
    std::string key;
    T value{};

    static void Fields(auto& m, auto& field) {
      field(1, m.key);
      field(2, m.value);
    }
  };

  template <typename T>
  static constexpr bool kScalar = std::is_arithmetic_v<T> || std::same_as<T, std::string>;

  template <typename T>
  void Take(T& value) {
    if constexpr (kScalar<T>) {
      reader_.Read(value);
    } else if constexpr (std::is_enum_v<T>) {
      auto raw = static_cast<int32_t>(value);
      reader_.Read(raw);
      value = static_cast<T>(raw);
    } else if (const auto bytes = Bytes()) {
      ok_ = FieldReader(*bytes).ReadInto(value);
    }
  }

  template <typename T>
  void Take(std::optional<T>& value) {
    if (!Bytes()) return;
    if (!value) value.emplace();
    Take(*value);
  }

  template <typename T>
  void Take(std::vector<T>& values) {
    if constexpr (kScalar<T>) {
      reader_.Append(values);
    } else if constexpr (std::is_enum_v<T>) {
      std::vector<uint64_t> raw;
      reader_.Append(raw);
      for (const uint64_t value : raw) values.push_back(static_cast<T>(value));
    } else if (Bytes()) {
      Take(values.emplace_back());
    }
  }

  template <typename T>
  void Take(std::map<std::string, T>& values) {
    if (!Bytes()) return;
    MapEntry<T> entry;
    Take(entry);
    values.insert_or_assign(std::move(entry.key), std::move(entry.value));
  }

  // Content of a string or sub-message; nothing when the field is of another kind.
  std::optional<std::string_view> Bytes() const;

  wire::ProtoReader reader_;
  bool ok_ = true;
};

}  // namespace gantry::shim::messages
