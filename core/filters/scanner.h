// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string_view>

#include "core/filters/rune.h"

namespace gantry::filters {

enum class Token { kEnd, kField, kValue, kQuoted, kSeparator, kOperator, kIllegal, kOther };

struct Lexeme {
  Token token = Token::kEnd;
  size_t at = 0;  // byte offset of its first rune
  std::string_view text;
  std::string_view error;  // of kIllegal
};

// Cuts a filter string into tokens, skipping white space between them. What a run of runes means
// depends on its place: after an operator it is a value, elsewhere a field.
//
// A small value: copying it is how one looks ahead. Views `input`, which outlives it.
class Scanner {
 public:
  explicit Scanner(std::string_view input) : input_(input) {}

  Lexeme Next();
  Lexeme Peek() const { return Scanner(*this).Next(); }

 private:
  bool AtEnd() const { return at_ == input_.size(); }
  Rune Here() const { return DecodeRune(input_.substr(at_)); }

  Lexeme Take(Token token, size_t begin) const {
    return {token, begin, input_.substr(begin, at_ - begin), {}};
  }
  template <typename Predicate>
  void SkipWhile(Predicate accepts);
  Lexeme Quoted();

  std::string_view input_;
  size_t at_ = 0;
  bool value_next_ = false;
};

}  // namespace gantry::filters
