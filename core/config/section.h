// SPDX-License-Identifier: Apache-2.0
// One table of the configuration, read key by key.
//
//   absl::StatusOr<Options> Decode(config::Section& section) {
//     Options options;
//     ASSIGN_OR_RETURN(options.path, section.Get<std::string>("path", "/opt/gantry"));
//     ASSIGN_OR_RETURN(options.interval, section.Get("interval", absl::Seconds(10)));
//     return options;
//   }
//
// Whoever reads a table names each of its keys with the default, once. From that the section knows
// which keys of the file nobody reads, and what the effective configuration is.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/status.h"
#include "core/config/value.h"

namespace gantry::config {

// A value from the tree; InvalidArgument "want string, have integer" when the kind differs or
// the number is out of range. Durations are written as strings ("1m30s").
absl::Status FromValue(const Value& value, bool& out);
absl::Status FromValue(const Value& value, int64_t& out);
absl::Status FromValue(const Value& value, double& out);
absl::Status FromValue(const Value& value, std::string& out);
absl::Status FromValue(const Value& value, absl::Duration& out);
absl::Status FromValue(const Value& value, Table& out);
absl::Status FromValue(const Value& value, std::vector<std::string>& out);
absl::Status FromValue(const Value& value, std::vector<int64_t>& out);
absl::Status FromValue(const Value& value, std::map<std::string, std::string>& out);

template <std::integral T>
  requires(!std::same_as<T, bool> && !std::same_as<T, int64_t>)
absl::Status FromValue(const Value& value, T& out) {
  int64_t wide = 0;
  RETURN_IF_ERROR(FromValue(value, wide));
  if (!std::in_range<T>(wide)) return InvalidArgument("{} is out of range", wide);
  out = static_cast<T>(wide);
  return absl::OkStatus();
}

Value ToValue(bool value);
Value ToValue(double value);
Value ToValue(std::string value);
Value ToValue(absl::Duration value);
Value ToValue(Table value);
Value ToValue(const std::vector<std::string>& value);
Value ToValue(const std::vector<int64_t>& value);
Value ToValue(const std::map<std::string, std::string>& value);
template <std::integral T>
  requires(!std::same_as<T, bool>)
Value ToValue(T value) {
  return Value(static_cast<int64_t>(value));
}

struct UnknownKey {
  std::string key;  // dotted, from the section's name on
  Position position;
};

// Threads: one at a time. Children live as long as their parent.
class Section {
 public:
  Section(std::string name, Table table) : name_(std::move(name)), table_(std::move(table)) {}

  const std::string& name() const { return name_; }

  // The key's value, or `fallback` when the file does not have it. Reading a key twice is fine.
  template <typename T>
  absl::StatusOr<T> Get(std::string_view key, T fallback) {
    const Value* value = Read(key);
    if (value == nullptr) {
      Note(key, ToValue(fallback));
      return fallback;
    }
    T decoded{};
    if (absl::Status status = FromValue(*value, decoded); !status.ok()) {
      return Wrong(key, *value, status);
    }
    Note(key, ToValue(decoded));
    return decoded;
  }

  // The table below `key`; empty when the file does not have it.
  absl::StatusOr<Section*> Child(std::string_view key);

  // Every table below the table `key`, by name: [runtimes.a], [runtimes.b].
  absl::StatusOr<std::vector<std::pair<std::string, Section*>>> Children(std::string_view key);

  // Every table of the list `key`: [[rules]].
  absl::StatusOr<std::vector<Section*>> Items(std::string_view key);

  bool Has(std::string_view key) const { return table_.contains(key); }

  // As if the file had said so.
  void Set(std::string_view key, Value value) {
    table_.insert_or_assign(std::string(key), std::move(value));
  }

  // Keys of the file that nobody read, those of the children included. Meaningful once the section
  // was decoded.
  std::vector<UnknownKey> UnknownKeys() const;

  // What counts: every key that was read, with its value or default.
  Table Effective() const;

  // The table as it was written.
  const Table& written() const { return table_; }

 private:
  const Value* Read(std::string_view key);
  void Note(std::string_view key, Value value) {
    effective_.insert_or_assign(std::string(key), std::move(value));
  }
  absl::Status Wrong(std::string_view key, const Value& value, const absl::Status& why) const;
  std::string Path(std::string_view key) const;

  std::string name_;
  Table table_;
  Table effective_;
  std::set<std::string, std::less<>> read_;
  std::map<std::string, std::unique_ptr<Section>, std::less<>> children_;
  std::map<std::string, std::vector<std::unique_ptr<Section>>, std::less<>> items_;
};

}  // namespace gantry::config
