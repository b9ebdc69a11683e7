// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace gantry::shim {

// Writes one JSON object to the end of a string; its destructor closes the object. While an object
// within it is open, nothing else may be added.
class JsonObjectWriter {
 public:
  explicit JsonObjectWriter(std::string& out) : out_(out) { out_ += '{'; }  // borrowed
  JsonObjectWriter(const JsonObjectWriter&) = delete;
  JsonObjectWriter& operator=(const JsonObjectWriter&) = delete;
  ~JsonObjectWriter() { out_ += '}'; }

  void String(std::string_view key, std::string_view value);
  void Int(std::string_view key, int64_t value);
  void Bool(std::string_view key, bool value);
  JsonObjectWriter Object(std::string_view key);

 private:
  void Key(std::string_view key);

  std::string& out_;
  bool empty_ = true;
};

}  // namespace gantry::shim
