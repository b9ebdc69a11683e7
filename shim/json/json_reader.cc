// SPDX-License-Identifier: Apache-2.0
#include "shim/json/json_reader.h"

#include <algorithm>
#include <charconv>

#include "shim/json/json_string.h"

namespace gantry::shim {
namespace {

bool IsDigit(char byte) { return byte >= '0' && byte <= '9'; }

bool IsHexDigit(char byte) {
  return IsDigit(byte) || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
}

}  // namespace

// The first byte of the next token; 0 at the end.
char JsonReader::Peek() {
  position_ = std::min(text_.find_first_not_of(" \t\n\r", position_), text_.size());
  return position_ < text_.size() ? text_[position_] : '\0';
}

void JsonReader::Taken() { at_hand_ = first_ = false; }

bool JsonReader::Enter(char bracket) {
  if (!at_hand_ || Peek() != bracket) return false;
  if (containers_.size() == kMaxDepth) return Fail();
  containers_ += bracket;
  ++position_;
  at_hand_ = false;
  first_ = true;
  return true;
}

bool JsonReader::Advance(char closing) {
  Skip();
  const char opening = closing == '}' ? '{' : '[';
  if (!ok_ || containers_.empty() || containers_.back() != opening) return false;
  const char next = Peek();
  if (next == closing) {
    ++position_;
    containers_.pop_back();
    Taken();
    return false;
  }
  if (!first_) {
    if (next != ',') return Fail();
    ++position_;
  }
  at_hand_ = true;
  return true;
}

bool JsonReader::AdvanceToKey() {
  if (!Advance('}')) return false;
  if (Peek() != '"') return Fail();
  if (!ScanString(key_)) return false;
  if (Peek() != ':') return Fail();
  ++position_;
  return true;
}

std::optional<std::string_view> JsonReader::NextKey() {
  if (!AdvanceToKey()) return std::nullopt;
  if (key_.find('\\') == std::string_view::npos) return key_;
  unescaped_key_ = UnescapeJson(key_);
  return unescaped_key_;
}

bool JsonReader::NextElement() { return Advance(']'); }

std::optional<std::string> JsonReader::String() {
  std::string_view inside;
  if (!at_hand_ || Peek() != '"' || !ScanString(inside)) return std::nullopt;
  Taken();
  return UnescapeJson(inside);
}

std::optional<bool> JsonReader::Bool() {
  if (TakeWord("true")) return true;
  if (TakeWord("false")) return false;
  return std::nullopt;
}

std::optional<int64_t> JsonReader::Int() {
  if (!at_hand_ || (!IsDigit(Peek()) && Peek() != '-')) return std::nullopt;
  const size_t start = position_;
  std::string_view number;
  if (!ScanNumber(number)) return std::nullopt;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (error != std::errc() || end != number.data() + number.size()) {
    position_ = start;
    return std::nullopt;
  }
  Taken();
  return value;
}

std::string_view JsonReader::Raw() {
  if (!at_hand_) return {};
  Peek();
  const size_t start = position_;
  Skip();
  return ok_ ? text_.substr(start, position_ - start) : std::string_view();
}

bool JsonReader::Finish() {
  Skip();
  if (ok_ && (!containers_.empty() || Peek() != '\0' || position_ < text_.size())) Fail();
  return ok_;
}

kernel::Error JsonReader::Error(std::string_view act) const {
  return {EINVAL, std::string(act) + ": no JSON at byte " + std::to_string(position_)};
}

void JsonReader::Skip() {
  const size_t depth = containers_.size();
  while (at_hand_ || (ok_ && containers_.size() > depth)) {
    if (!at_hand_) {
      if (containers_.back() == '{') {
        AdvanceToKey();
      } else {
        NextElement();
      }
    } else if (!EnterObject() && !EnterArray() && ok_) {
      SkipScalar();
    }
  }
}

void JsonReader::SkipScalar() {
  std::string_view text;
  const char next = Peek();
  if (next == '"') {
    if (ScanString(text)) Taken();
  } else if (next == '-' || IsDigit(next)) {
    if (ScanNumber(text)) Taken();
  } else if (!Null() && !Bool()) {
    Fail();
  }
}

bool JsonReader::TakeWord(std::string_view word) {
  if (!at_hand_) return false;
  Peek();
  if (!text_.substr(position_).starts_with(word)) return false;
  position_ += word.size();
  Taken();
  return true;
}

bool JsonReader::ScanString(std::string_view& inside) {
  const size_t start = ++position_;
  for (; position_ < text_.size(); ++position_) {
    const char byte = text_[position_];
    if (byte == '"') {
      inside = text_.substr(start, position_ - start);
      ++position_;
      return true;
    }
    if (static_cast<unsigned char>(byte) < 0x20) return Fail();
    if (byte == '\\' && !ScanEscape()) return Fail();
  }
  return Fail();
}

// Goes from a backslash to the last byte of its escape.
bool JsonReader::ScanEscape() {
  ++position_;
  if (position_ >= text_.size()) return false;
  if (text_[position_] != 'u') {
    return std::string_view("\"\\/bfnrt").find(text_[position_]) != std::string_view::npos;
  }
  for (int digits = 0; digits < 4; ++digits) {
    ++position_;
    if (position_ >= text_.size() || !IsHexDigit(text_[position_])) return false;
  }
  return true;
}

bool JsonReader::ScanDigits() {
  const size_t start = position_;
  while (position_ < text_.size() && IsDigit(text_[position_])) ++position_;
  return position_ > start || Fail();
}

bool JsonReader::ScanNumber(std::string_view& number) {
  const size_t start = position_;
  const auto at = [this](std::string_view any_of) {
    return position_ < text_.size() && any_of.find(text_[position_]) != std::string_view::npos;
  };
  if (at("-")) ++position_;
  if (at("0")) {
    ++position_;  // leads no further digits
  } else if (!ScanDigits()) {
    return false;
  }
  if (at(".")) {
    ++position_;
    if (!ScanDigits()) return false;
  }
  if (at("eE")) {
    ++position_;
    if (at("+-")) ++position_;
    if (!ScanDigits()) return false;
  }
  number = text_.substr(start, position_ - start);
  return true;
}

}  // namespace gantry::shim
