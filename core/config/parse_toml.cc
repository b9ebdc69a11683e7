// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <sstream>
#include <stdexcept>

#include "core/base/status.h"
#include "core/config/toml.h"

// toml++ in its form that returns errors; this is the only file that sees it. Some malformed texts
// ("[.") it takes for a bug of its own: such an assertion leaves by an exception, caught below.
[[noreturn]] static void AssertionFailed() { throw std::logic_error("no well-formed TOML"); }

#undef NDEBUG
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ASSERT(expr) ((expr) ? static_cast<void>(0) : AssertionFailed())
#include <toml++/toml.h>

namespace gantry::config {
namespace {

class Converter {
 public:
  explicit Converter(std::string_view file) : file_(std::make_shared<const std::string>(file)) {}

  Table Convert(const toml::table& source) const {
    Table table;
    for (const auto& [key, node] : source) {
      table.emplace(key.str(), Convert(node, At(key.source())));
    }
    return table;
  }

 private:
  Position At(const toml::source_region& region) const {
    return {.file = file_, .line = region.begin.line, .column = region.begin.column};
  }

  Value Convert(const toml::node& node, Position at) const {
    if (const auto* table = node.as_table()) return Value(Convert(*table), std::move(at));
    if (const auto* array = node.as_array()) return Value(Convert(*array), std::move(at));
    if (const auto* text = node.as_string()) return Value(text->get(), std::move(at));
    if (const auto* number = node.as_integer()) return Value(number->get(), std::move(at));
    if (const auto* number = node.as_floating_point()) return Value(number->get(), std::move(at));
    if (const auto* flag = node.as_boolean()) return Value(flag->get(), std::move(at));
    std::ostringstream text;
    if (const auto* date = node.as_date()) text << date->get();
    if (const auto* time = node.as_time()) text << time->get();
    if (const auto* both = node.as_date_time()) text << both->get();
    return Value(text.str(), std::move(at));
  }

  List Convert(const toml::array& source) const {
    List list;
    for (const toml::node& node : source) list.push_back(Convert(node, At(node.source())));
    return list;
  }

  std::shared_ptr<const std::string> file_;
};

}  // namespace

absl::StatusOr<Table> ParseToml(std::string_view text, std::string_view file) {
  try {
    const toml::parse_result result = toml::parse(text, file);
    if (result) return Converter(file).Convert(result.table());
    const toml::parse_error& error = result.error();
    return InvalidArgument("parse {}:{}:{}: {}", file, error.source().begin.line,
                           error.source().begin.column, error.description());
  } catch (const std::logic_error& error) {
    return InvalidArgument("parse {}: {}", file, error.what());
  }
}

}  // namespace gantry::config
