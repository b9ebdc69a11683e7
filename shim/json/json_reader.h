// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/kernel/result.h"

namespace gantry::shim {

// Walks through JSON text, value by value, without building a tree:
//
//   JsonReader json(text);
//   if (json.EnterObject()) {
//     while (const auto key = json.NextKey()) {
//       if (*key == "name") name = json.String().value_or("");
//     }
//   }
//   if (!json.Finish()) return json.Error("parse x.json");
//
// At first the whole text is the value at hand; NextKey() and NextElement() go on to the next one.
// A value that nobody took is passed over. A method that wants a value of another kind than the one
// at hand leaves it there for the next.
//
// Everything passed over is checked too: text that is no JSON (RFC 8259), or nested beyond
// kMaxDepth, makes every method give nothing from there on, and ok() false. Whether text is valid
// UTF-8 is not looked at. Memory: a byte per level; views live as long as the text.
class JsonReader {
 public:
  static constexpr size_t kMaxDepth = 128;

  explicit JsonReader(std::string_view text) : text_(text) {}

  // Goes into the object at hand; NextKey() leaves it behind the last member.
  bool EnterObject() { return Enter('{'); }
  // Unescaped; valid until the next key is asked for.
  std::optional<std::string_view> NextKey();

  // Goes into the array at hand; NextElement() leaves it behind the last one.
  bool EnterArray() { return Enter('['); }
  bool NextElement();

  // The value at hand, taken.
  std::optional<std::string> String();
  std::optional<bool> Bool();
  std::optional<int64_t> Int();  // nothing for a fraction, an exponent or too large a number
  bool Null() { return TakeWord("null"); }
  // The text of the value at hand, of any kind; empty when there is none.
  std::string_view Raw();

  // Passes over the value at hand; whether nothing but white space follows it.
  bool Finish();

  bool ok() const { return ok_; }
  // Where the reader stands: behind the last value, or where the text stops being JSON.
  size_t offset() const { return position_; }
  // EINVAL, for text that is no JSON; `act` names what was done with which text.
  kernel::Error Error(std::string_view act) const;

 private:
  bool Fail() {
    ok_ = false;
    at_hand_ = false;
    return false;
  }
  char Peek();
  bool Enter(char bracket);
  // Goes to the next member or element, or out of the container.
  bool Advance(char closing);
  bool AdvanceToKey();
  void Taken();
  void Skip();
  void SkipScalar();
  bool TakeWord(std::string_view word);
  bool ScanString(std::string_view& inside);
  bool ScanEscape();
  bool ScanNumber(std::string_view& number);
  bool ScanDigits();

  std::string_view text_;
  size_t position_ = 0;
  std::string containers_;  // the opening brackets of those we are in
  bool ok_ = true;
  bool at_hand_ = true;  // a value was announced and not yet taken
  bool first_ = true;    // nothing of the innermost container was taken yet
  std::string_view key_;
  std::string unescaped_key_;
};

}  // namespace gantry::shim
