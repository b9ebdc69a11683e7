// SPDX-License-Identifier: Apache-2.0
#include "core/filters/scanner.h"

namespace gantry::filters {
namespace {

bool IsField(char32_t c) {
  return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool IsOperator(char32_t c) { return c == '=' || c == '!' || c == '~'; }
bool IsQuote(char32_t c) { return c == '"' || c == '/' || c == '|'; }
bool IsSeparator(char32_t c) { return c == ',' || c == '.'; }
bool IsValue(char32_t c) { return c != ',' && !IsSpace(c) && IsGraphic(c); }

}  // namespace

template <typename Predicate>
void Scanner::SkipWhile(Predicate accepts) {
  while (!AtEnd()) {
    const Rune rune = Here();
    if (rune.bytes == 0 || !accepts(rune.code)) return;
    at_ += rune.bytes;
  }
}

Lexeme Scanner::Next() {
  SkipWhile(IsSpace);
  const size_t begin = at_;
  if (AtEnd()) return {Token::kEnd, begin, {}, {}};
  const Rune rune = Here();
  if (rune.bytes == 0) return {Token::kIllegal, begin, {}, "illegal character, not UTF-8"};
  if (rune.code == 0) return {Token::kIllegal, begin, {}, "illegal null character"};
  if (IsQuote(rune.code)) return Quoted();
  at_ += rune.bytes;
  if (IsSeparator(rune.code)) {
    value_next_ = false;
    return Take(Token::kSeparator, begin);
  }
  if (IsOperator(rune.code)) {
    SkipWhile(IsOperator);
    value_next_ = true;
    return Take(Token::kOperator, begin);
  }
  if (value_next_) {
    value_next_ = false;
    SkipWhile(IsValue);
    return Take(Token::kValue, begin);
  }
  if (!IsField(rune.code)) return Take(Token::kOther, begin);
  SkipWhile(IsField);
  return Take(Token::kField, begin);
}

// Escapes are checked when the literal is decoded; here a backslash only hides what follows it.
Lexeme Scanner::Quoted() {
  const size_t begin = at_;
  const char quote = input_[at_++];
  while (!AtEnd()) {
    const Rune rune = Here();
    if (rune.bytes == 0) return {Token::kIllegal, at_, {}, "illegal character, not UTF-8"};
    if (rune.code == 0) return {Token::kIllegal, at_, {}, "illegal null character"};
    if (rune.code == '\n') break;
    at_ += rune.bytes;
    if (rune.code == static_cast<unsigned char>(quote)) return Take(Token::kQuoted, begin);
    if (rune.code == '\\' && !AtEnd() && input_[at_] != '\n' && input_[at_] != '\0') ++at_;
  }
  return {Token::kIllegal, begin, {}, "quoted literal not terminated"};
}

}  // namespace gantry::filters
