// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/config/toml.h"

namespace gantry::config {
namespace {

bool IsBare(std::string_view key) {
  return !key.empty() && std::ranges::all_of(key, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '-';
  });
}

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

// As a literal where that is possible: paths and expressions read best unescaped.
std::string Quote(std::string_view text) {
  if (text.find('\'') == std::string_view::npos && std::ranges::none_of(text, IsControl)) {
    return fmt::format("'{}'", text);
  }
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (IsControl(c)) {
      quoted += fmt::format("\\u{:04X}", static_cast<unsigned>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string Number(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
  std::string text = fmt::format("{}", number);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string Key(std::string_view key) { return IsBare(key) ? std::string(key) : Quote(key); }

class Writer {
 public:
  std::string Take() { return std::move(out_); }

  // `path` is the dotted name of `table`, `depth` the number of tables around it.
  void WriteTable(const Table& table, const std::string& path, size_t depth) {
    const std::string indent(2 * depth, ' ');
    for (const auto& [key, value] : table) {
      if (value.table() != nullptr) continue;
      out_ += fmt::format("{}{} = {}\n", indent, Key(key), Inline(value));
    }
    for (const auto& [key, value] : table) {
      const Table* child = value.table();
      if (child == nullptr) continue;
      const std::string name = path.empty() ? Key(key) : path + '.' + Key(key);
      if (!out_.empty()) out_ += '\n';
      out_ += fmt::format("{}[{}]\n", indent, name);
      WriteTable(*child, name, depth + 1);
    }
  }

 private:
  static std::string Inline(const Value& value) {
    struct Visitor {
      std::string operator()(bool flag) const { return flag ? "true" : "false"; }
      std::string operator()(int64_t number) const { return fmt::to_string(number); }
      std::string operator()(double number) const { return Number(number); }
      std::string operator()(const std::string& text) const { return Quote(text); }
      std::string operator()(const List& list) const {
        std::string text = "[";
        for (size_t i = 0; i < list.size(); ++i) text += (i > 0 ? ", " : "") + Inline(list[i]);
        return text + "]";
      }
      std::string operator()(const Table& table) const {
        std::string text;
        for (const auto& [key, value] : table) {
          text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", Key(key), Inline(value));
        }
        return fmt::format("{{{}}}", text);
      }
    };
    return std::visit(Visitor(), value.data);
  }

  std::string out_;
};

}  // namespace

std::string RenderToml(const Table& table) {
  Writer writer;
  writer.WriteTable(table, "", 0);
  return writer.Take();
}

}  // namespace gantry::config
