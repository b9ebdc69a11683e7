// SPDX-License-Identifier: Apache-2.0
// Configuration as a tree that knows where each value was written, free of any file format.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace gantry::config {

// Where a key or value stands. Line and column count from 1; line 0 means it is built in.
struct Position {
  std::shared_ptr<const std::string> file;
  uint32_t line = 0;
  uint32_t column = 0;

  std::string ToString() const;  // "config.toml:12:3", or "built in"
};

struct Value;
using List = std::vector<Value>;
using Table = std::map<std::string, Value, std::less<>>;

struct Value {
  using Data = std::variant<bool, int64_t, double, std::string, List, Table>;

  Data data;
  Position position = {};

  Value() = default;
  template <typename T>
    requires std::constructible_from<Data, T> && (!std::same_as<std::remove_cvref_t<T>, Value>)
  // NOLINTNEXTLINE: built from any kind of value, as JSON trees are; never hides a copy, see above.
  Value(T&& data, Position position = {})
      : data(std::forward<T>(data)), position(std::move(position)) {}
  Value(const char* text) : data(std::string(text)) {}       // NOLINT: likewise
  Value(int number) : data(static_cast<int64_t>(number)) {}  // NOLINT: likewise

  Table* table() { return std::get_if<Table>(&data); }
  const Table* table() const { return std::get_if<Table>(&data); }
  List* list() { return std::get_if<List>(&data); }
  const List* list() const { return std::get_if<List>(&data); }
  const std::string* text() const { return std::get_if<std::string>(&data); }

  // "boolean", "integer", "number", "string", "list" or "table".
  std::string_view kind() const;
};

// Compares values, not where they stand.
bool operator==(const Value& a, const Value& b);

// The table below `key`, made if there is none; null when the key holds something else.
Table* EnsureTable(Table& parent, std::string_view key);

// The table below `key`, or null.
Table* FindTable(Table& parent, std::string_view key);

// Takes `key` out of `table`, or answers false.
bool Take(Table& table, std::string_view key, Value& value);

}  // namespace gantry::config
