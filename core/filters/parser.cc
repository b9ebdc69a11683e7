// SPDX-License-Identifier: Apache-2.0
#include <re2/re2.h>

#include <algorithm>
#include <optional>

#include "core/base/status.h"
#include "core/filters/filter.h"
#include "core/filters/quote.h"
#include "core/filters/scanner.h"
#include "core/log/log.h"

namespace gantry::filters {
namespace {

// A refused filter is quoted at most this far around the bad place: messages travel in headers.
constexpr size_t kQuotedBytes = 128;

// Cuts `text` to its last `bytes`, or its first, at the border of a rune.
std::string_view Tail(std::string_view text, size_t bytes) {
  if (text.size() <= bytes) return text;
  text.remove_prefix(text.size() - bytes);
  while (!text.empty() && (static_cast<unsigned char>(text[0]) & 0xC0) == 0x80) {
    text.remove_prefix(1);
  }
  return text;
}
std::string_view Head(std::string_view text, size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) --bytes;
  return text.substr(0, bytes);
}

absl::Status ParseError(std::string_view input, size_t at, std::string_view reason) {
  if (at >= input.size()) {
    return InvalidArgument("filters: parse error: [{}]: {}", Tail(input, kQuotedBytes), reason);
  }
  const size_t bytes = std::max<size_t>(DecodeRune(input.substr(at)).bytes, 1);
  return InvalidArgument("filters: parse error: [{} >|{}|< {}]: {}",
                         Tail(input.substr(0, at), kQuotedBytes), input.substr(at, bytes),
                         Head(input.substr(at + bytes), kQuotedBytes), reason);
}

std::shared_ptr<const re2::RE2> Compile(const std::string& pattern) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kMaxExpressionBytes);
  auto compiled = std::make_shared<const re2::RE2>(pattern, options);
  if (compiled->ok()) return compiled;
  log::Warn("filter with an invalid regular expression matches nothing",
            {{"error", compiled->error()}});
  return nullptr;
}

class Parser {
 public:
  explicit Parser(std::string_view input) : input_(input), scanner_(input) {}

  absl::StatusOr<Filter::Conjunction> Run() {
    Filter::Conjunction all;
    while (true) {
      ASSIGN_OR_RETURN(Selector selector, ParseSelector());
      all.push_back(std::move(selector));
      const Lexeme next = scanner_.Next();
      if (next.token == Token::kEnd) return all;
      if (next.token == Token::kIllegal) return Error(next, next.error);
      if (next.text != ",") return Error(next, fmt::format("unexpected input: {}", next.text));
    }
  }

 private:
  absl::Status Error(const Lexeme& lexeme, std::string_view reason) const {
    return ParseError(input_, lexeme.at, reason);
  }

  absl::StatusOr<Selector> ParseSelector() {
    Selector selector;
    RETURN_IF_ERROR(ParsePath(selector.path));
    const Lexeme next = scanner_.Peek();
    if (next.token == Token::kEnd || next.text == ",") return selector;
    ASSIGN_OR_RETURN(selector.op, ParseOperator());
    ASSIGN_OR_RETURN(selector.value, ParseValue(selector.op == Operator::kMatches));
    return selector;
  }

  absl::Status ParsePath(std::vector<std::string>& path) {
    while (true) {
      const Lexeme field = scanner_.Next();
      if (field.token == Token::kIllegal) return Error(field, field.error);
      if (field.token == Token::kField) {
        path.emplace_back(field.text);
      } else if (field.token == Token::kQuoted) {
        ASSIGN_OR_RETURN(std::string name, Decode(field, /*any_quote=*/false));
        path.push_back(std::move(name));
      } else {
        return Error(field, "expected field or quoted");
      }
      if (scanner_.Peek().text != ".") return absl::OkStatus();
      scanner_.Next();
    }
  }

  absl::StatusOr<Operator> ParseOperator() {
    const Lexeme op = scanner_.Next();
    if (op.token == Token::kIllegal) return Error(op, op.error);
    if (op.token != Token::kOperator) {
      return Error(op, R"(expected an operator ("=="|"!="|"~="))");
    }
    if (op.text == "==") return Operator::kEqual;
    if (op.text == "!=") return Operator::kNotEqual;
    if (op.text == "~=") return Operator::kMatches;
    return Error(op, fmt::format("unsupported operator \"{}\"", op.text));
  }

  absl::StatusOr<std::string> ParseValue(bool any_quote) {
    const Lexeme value = scanner_.Next();
    if (value.token == Token::kIllegal) return Error(value, value.error);
    if (value.token == Token::kValue) return std::string(value.text);
    if (value.token == Token::kQuoted) return Decode(value, any_quote);
    return Error(value, "expected value or quoted");
  }

  absl::StatusOr<std::string> Decode(const Lexeme& literal, bool any_quote) const {
    if (!any_quote && literal.text[0] != '"') return Error(literal, "invalid quote encountered");
    std::optional<std::string> text = Unquote(literal.text);
    if (!text) return Error(literal, "unquoting failed: illegal escape sequence");
    return *std::move(text);
  }

  std::string_view input_;
  Scanner scanner_;
};

absl::Status CheckSize(std::span<const std::string> filters) {
  size_t total = 0;
  for (const std::string& filter : filters) {
    total += filter.size();
    if (filter.size() > kMaxFilterBytes || total > kMaxListBytes) {
      return ParseError(Head(filter, kQuotedBytes), 0, "the filter is too long");
    }
  }
  return absl::OkStatus();
}

absl::Status CompileExpressions(std::vector<Filter::Conjunction>& any) {
  size_t count = 0;
  for (Filter::Conjunction& all : any) {
    for (Selector& selector : all) {
      if (selector.op != Operator::kMatches) continue;
      if (++count > kMaxExpressions) {
        return ParseError(selector.value, selector.value.size(), "too many regular expressions");
      }
      selector.expression = Compile(selector.value);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Filter> Parse(std::span<const std::string> filters) {
  RETURN_IF_ERROR(CheckSize(filters));
  std::vector<Filter::Conjunction> any;
  bool everything = filters.empty();
  for (const std::string& filter : filters) {
    if (filter.empty()) {
      everything = true;  // The others are still looked at: a bad one is an error.
      continue;
    }
    ASSIGN_OR_RETURN(Filter::Conjunction all, Parser(filter).Run());
    any.push_back(std::move(all));
  }
  if (everything) return Filter();
  RETURN_IF_ERROR(CompileExpressions(any));
  return Filter(std::move(any));
}

}  // namespace gantry::filters
