// SPDX-License-Identifier: Apache-2.0
#include "shim/json/json_writer.h"

#include "shim/json/json_string.h"

namespace gantry::shim {

void JsonObjectWriter::String(std::string_view key, std::string_view value) {
  Key(key);
  AppendJsonString(out_, value);
}

void JsonObjectWriter::Int(std::string_view key, int64_t value) {
  Key(key);
  out_ += std::to_string(value);
}

void JsonObjectWriter::Bool(std::string_view key, bool value) {
  Key(key);
  out_ += value ? "true" : "false";
}

JsonObjectWriter JsonObjectWriter::Object(std::string_view key) {
  Key(key);
  return JsonObjectWriter(out_);
}

void JsonObjectWriter::Key(std::string_view key) {
  if (!empty_) out_ += ',';
  empty_ = false;
  AppendJsonString(out_, key);
  out_ += ':';
}

}  // namespace gantry::shim
