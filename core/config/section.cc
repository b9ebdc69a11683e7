// SPDX-License-Identifier: Apache-2.0
#include "core/config/section.h"

#include "core/config/duration.h"

namespace gantry::config {
namespace {

absl::Status Mismatch(std::string_view wanted, const Value& value) {
  return InvalidArgument("want {}, have {}", wanted, value.kind());
}

template <typename T>
absl::Status Exactly(std::string_view wanted, const Value& value, T& out) {
  const T* held = std::get_if<T>(&value.data);
  if (held == nullptr) return Mismatch(wanted, value);
  out = *held;
  return absl::OkStatus();
}

template <typename T>
absl::Status EachItem(const Value& value, std::vector<T>& out) {
  const List* list = value.list();
  if (list == nullptr) return Mismatch("list", value);
  out.clear();
  for (const Value& item : *list) RETURN_IF_ERROR(FromValue(item, out.emplace_back()));
  return absl::OkStatus();
}

template <typename T>
Value ListOf(const std::vector<T>& items) {
  List list;
  for (const T& item : items) list.emplace_back(item);
  return Value(std::move(list));
}

}  // namespace

absl::Status FromValue(const Value& value, bool& out) { return Exactly("boolean", value, out); }
absl::Status FromValue(const Value& value, int64_t& out) { return Exactly("integer", value, out); }
absl::Status FromValue(const Value& value, std::string& out) {
  return Exactly("string", value, out);
}
absl::Status FromValue(const Value& value, Table& out) { return Exactly("table", value, out); }

absl::Status FromValue(const Value& value, double& out) {
  if (const auto* whole = std::get_if<int64_t>(&value.data)) {
    out = static_cast<double>(*whole);
    return absl::OkStatus();
  }
  return Exactly("number", value, out);
}

absl::Status FromValue(const Value& value, absl::Duration& out) {
  std::string text;
  RETURN_IF_ERROR(Exactly("string such as \"10s\"", value, text));
  const std::optional<absl::Duration> duration = ParseGoDuration(text);
  if (!duration) return InvalidArgument("\"{}\" is no duration", text);
  out = *duration;
  return absl::OkStatus();
}

absl::Status FromValue(const Value& value, std::vector<std::string>& out) {
  return EachItem(value, out);
}
absl::Status FromValue(const Value& value, std::vector<int64_t>& out) {
  return EachItem(value, out);
}

absl::Status FromValue(const Value& value, std::map<std::string, std::string>& out) {
  const Table* table = value.table();
  if (table == nullptr) return Mismatch("table", value);
  out.clear();
  for (const auto& [key, item] : *table) RETURN_IF_ERROR(FromValue(item, out[key]));
  return absl::OkStatus();
}

Value ToValue(bool value) { return Value(value); }
Value ToValue(double value) { return Value(value); }
Value ToValue(std::string value) { return Value(std::move(value)); }
Value ToValue(absl::Duration value) { return Value(FormatGoDuration(value)); }
Value ToValue(Table value) { return Value(std::move(value)); }
Value ToValue(const std::vector<std::string>& value) { return ListOf(value); }
Value ToValue(const std::vector<int64_t>& value) { return ListOf(value); }
Value ToValue(const std::map<std::string, std::string>& value) {
  return Value(Table(value.begin(), value.end()));
}

const Value* Section::Read(std::string_view key) {
  const auto found = table_.find(key);
  if (found == table_.end()) return nullptr;
  read_.emplace(key);
  return &found->second;
}

std::string Section::Path(std::string_view key) const {
  return name_.empty() ? std::string(key) : fmt::format("{}.{}", name_, key);
}

absl::Status Section::Wrong(std::string_view key, const Value& value,
                            const absl::Status& why) const {
  const auto text = why.message();
  return InvalidArgument("configuration {} ({}): {}", Path(key), value.position.ToString(),
                         std::string_view(text.data(), text.size()));
}

absl::StatusOr<Section*> Section::Child(std::string_view key) {
  const auto known = children_.find(key);
  if (known != children_.end()) return known->second.get();
  Table table;
  if (const Value* value = Read(key); value != nullptr) {
    if (absl::Status status = FromValue(*value, table); !status.ok()) {
      return Wrong(key, *value, status);
    }
  }
  auto child = std::make_unique<Section>(Path(key), std::move(table));
  return children_.emplace(key, std::move(child)).first->second.get();
}

absl::StatusOr<std::vector<std::pair<std::string, Section*>>> Section::Children(
    std::string_view key) {
  ASSIGN_OR_RETURN(Section * parent, Child(key));
  std::vector<std::pair<std::string, Section*>> children;
  for (const auto& [name, value] : parent->table_) {
    ASSIGN_OR_RETURN(Section * child, parent->Child(name));
    children.emplace_back(name, child);
  }
  return children;
}

absl::StatusOr<std::vector<Section*>> Section::Items(std::string_view key) {
  const auto [known, fresh] = items_.try_emplace(std::string(key));
  const Value* value = fresh ? Read(key) : nullptr;
  if (value != nullptr) {
    if (value->list() == nullptr) return Wrong(key, *value, Mismatch("list of tables", *value));
    for (const Value& item : *value->list()) {
      Table table;
      if (absl::Status status = FromValue(item, table); !status.ok()) {
        return Wrong(key, item, status);
      }
      known->second.push_back(std::make_unique<Section>(
          fmt::format("{}[{}]", Path(key), known->second.size()), std::move(table)));
    }
  }
  std::vector<Section*> items;
  for (const auto& item : known->second) items.push_back(item.get());
  return items;
}

std::vector<UnknownKey> Section::UnknownKeys() const {
  std::vector<UnknownKey> unknown;
  const auto append = [&](const Section& nested) {
    for (UnknownKey& key : nested.UnknownKeys()) unknown.push_back(std::move(key));
  };
  for (const auto& [key, value] : table_) {
    if (!read_.contains(key)) unknown.push_back({Path(key), value.position});
  }
  for (const auto& [key, child] : children_) append(*child);
  for (const auto& [key, items] : items_) {
    for (const auto& item : items) append(*item);
  }
  return unknown;
}

Table Section::Effective() const {
  Table all = effective_;
  for (const auto& [key, child] : children_) {
    Table table = child->Effective();
    if (!table.empty() || read_.contains(key)) all.insert_or_assign(key, Value(std::move(table)));
  }
  for (const auto& [key, items] : items_) {
    List list;
    for (const auto& item : items) list.emplace_back(item->Effective());
    all.insert_or_assign(key, Value(std::move(list)));
  }
  return all;
}

}  // namespace gantry::config
