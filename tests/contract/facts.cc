// SPDX-License-Identifier: Apache-2.0
#include "tests/contract/facts.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <sstream>
#include <utility>

#include "core/base/status.h"

namespace gantry::contract {
namespace {

using Words = std::vector<std::string>;

constexpr std::array<std::string_view, 15> kScalars = {
    "double",  "float",   "int32",    "int64",    "uint32", "uint64", "sint32", "sint64",
    "fixed32", "fixed64", "sfixed32", "sfixed64", "bool",   "string", "bytes"};

Words SplitWords(const std::string& line) {
  std::istringstream in(line);
  Words words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

// Reads one text. Type names are resolved at the end, when all declarations are known.
class Parser {
 public:
  absl::Status Line(std::string line);
  absl::StatusOr<Facts> Finish();

 private:
  enum class Kind { kFile, kService, kMessage, kExtend };
  struct Scope {
    size_t indent = 0;
    Kind kind = Kind::kFile;
    std::string name;  // Full name; the package in a file, the extended type in an extension.
  };
  struct Pending {  // A fact whose types are still as written; each is followed by its `after`.
    std::string key;
    std::string before;
    std::vector<std::string> types;
    std::vector<std::string> after;
    std::string package;
  };

  absl::Status Declare(size_t indent, const Words& words);
  absl::Status File(const Words& words);
  absl::Status Enum(const Words& words);
  absl::Status Reserved(const Words& words);
  absl::Status Method(const Words& words);
  absl::Status Field(const Words& words);
  absl::StatusOr<std::string> Resolve(const std::string& type, const std::string& package) const;
  absl::Status Add(const std::string& key, const std::string& value);
  std::string Named(const std::string& name) const {
    // A member of an extension is named in the package, not in what it extends.
    return (scopes_.back().kind == Kind::kExtend ? package_ : scopes_.back().name) + "." + name;
  }

  std::string package_;
  std::vector<Scope> scopes_;
  std::set<std::string> types_;
  std::vector<Pending> pending_;
  Facts facts_;
};

absl::Status Parser::Add(const std::string& key, const std::string& value) {
  if (!facts_.emplace(key, value).second) return InvalidArgument("{} stands twice", key);
  return absl::OkStatus();
}

absl::Status Parser::Line(std::string line) {
  if (const size_t comment = line.find('#'); comment != std::string::npos) line.resize(comment);
  const Words words = SplitWords(line);
  if (words.empty()) return absl::OkStatus();
  const size_t indent = line.find_first_not_of(' ');
  if (words[0] == "file") return File(words);
  // What stands at the same depth or deeper has ended; the file itself stays.
  while (scopes_.size() > 1 && scopes_.back().indent >= indent) scopes_.pop_back();
  if (scopes_.empty()) return InvalidArgument("stands outside any file");
  if (words[0] == "enum") return Enum(words);
  if (words[0] == "service" || words[0] == "message" || words[0] == "extend") {
    return Declare(indent, words);
  }
  if (words[0] == "reserved") return Reserved(words);
  return scopes_.back().kind == Kind::kService ? Method(words) : Field(words);
}

absl::Status Parser::File(const Words& words) {
  if (words.size() < 6 || words[2] != "package" || words[4] != "syntax") {
    return InvalidArgument("a file needs a package and a syntax");
  }
  package_ = words[3];
  scopes_ = {{.indent = 0, .kind = Kind::kFile, .name = package_}};
  RETURN_IF_ERROR(Add("file " + words[1], package_ + " " + words[5]));
  for (size_t i = 7; i < words.size(); ++i) {
    std::string import = words[i];
    if (import.back() == ',') import.pop_back();
    RETURN_IF_ERROR(Add("import " + words[1] + " " + import, ""));
  }
  return absl::OkStatus();
}

absl::Status Parser::Declare(size_t indent, const Words& words) {
  const bool empty = words.size() == 3 && words[2] == "(empty)";
  if (words.size() != 2 && !empty) return InvalidArgument("a {} needs one name", words[0]);
  if (words[0] == "extend") {
    scopes_.push_back({indent, Kind::kExtend, words[1]});
    return absl::OkStatus();
  }
  const std::string name = Named(words[1]);
  scopes_.push_back({indent, words[0] == "message" ? Kind::kMessage : Kind::kService, name});
  if (words[0] == "message") types_.insert(name);
  return Add(words[0] + " " + name, "");
}

absl::Status Parser::Enum(const Words& words) {
  if (words.size() < 3 || words[1].back() != ':') return InvalidArgument("an enum needs values");
  const std::string name = Named(words[1].substr(0, words[1].size() - 1));
  types_.insert(name);
  RETURN_IF_ERROR(Add("enum " + name, ""));
  for (size_t i = 2; i < words.size(); ++i) {
    std::string value = words[i];
    if (value.back() == ',') value.pop_back();
    const size_t equals = value.find('=');
    if (equals == std::string::npos) return InvalidArgument("{} has no number", value);
    RETURN_IF_ERROR(Add("value " + name + "." + value.substr(0, equals), value.substr(equals + 1)));
  }
  return absl::OkStatus();
}

absl::Status Parser::Reserved(const Words& words) {
  for (size_t i = 1; i < words.size(); ++i) {
    RETURN_IF_ERROR(Add("reserved " + scopes_.back().name + " " + words[i], ""));
  }
  return absl::OkStatus();
}

absl::Status Parser::Method(const Words& words) {
  // Name(Request) -> Response, each message perhaps behind the word "stream".
  std::string text;
  for (const std::string& word : words) text += word + " ";
  const size_t open = text.find('(');
  const size_t close = text.find(") -> ");
  if (open == std::string::npos || close == std::string::npos || close < open) {
    return InvalidArgument("a method needs a request and a response");
  }
  std::string request = text.substr(open + 1, close - open - 1);
  std::string response = text.substr(close + 5, text.size() - close - 6);
  const auto take_stream = [](std::string& type) -> std::string {
    if (!type.starts_with("stream ")) return "";
    type.erase(0, 7);
    return "stream ";
  };
  const std::string streamed_request = take_stream(request);
  const std::string streamed_response = take_stream(response);
  pending_.push_back({.key = "method " + Named(text.substr(0, open)),
                      .before = "(" + streamed_request,
                      .types = {request, response},
                      .after = {") -> " + streamed_response, ""},
                      .package = package_});
  return absl::OkStatus();
}

absl::Status Parser::Field(const Words& words) {
  const bool numbered = std::all_of(words[0].begin(), words[0].end(),
                                    [](unsigned char c) { return std::isdigit(c) != 0; });
  if (words.size() < 3 || !numbered || scopes_.back().kind == Kind::kFile) {
    return InvalidArgument("\"{}\" begins no known line", words[0]);
  }
  Pending fact{.key = "field " + Named(words[1]), .before = words[0] + " ", .package = package_};
  if (scopes_.back().kind == Kind::kExtend) {
    fact.key = "extension " + Named(words[1]);
    fact.before = scopes_.back().name + " " + fact.before;
  }
  size_t at = 2;
  if (words[at] == "repeated") fact.before += words[at++] + " ";
  if (at == words.size()) return InvalidArgument("{} has no type", words[1]);
  std::string type = words[at++];
  std::string tail;
  for (; at < words.size(); ++at) {
    if (words[at] == "deprecated") {
      tail = " deprecated";
    } else if (words[at] == "optional") {
      fact.before += "optional ";
    } else {
      return InvalidArgument("\"{}\" is no label", words[at]);
    }
  }
  if (type.starts_with("map<") && type.ends_with(">")) {
    const size_t comma = type.find(',');
    if (comma == std::string::npos) return InvalidArgument("a map needs key and value");
    fact.before += type.substr(0, comma + 1);
    type = type.substr(comma + 1, type.size() - comma - 2);
    tail = ">" + tail;
  }
  fact.types = {type};
  fact.after = {tail};
  pending_.push_back(std::move(fact));
  return absl::OkStatus();
}

absl::StatusOr<std::string> Parser::Resolve(const std::string& type,
                                            const std::string& package) const {
  if (std::find(kScalars.begin(), kScalars.end(), type) != kScalars.end()) return type;
  if (types_.contains(package + "." + type)) return package + "." + type;
  // A full name, perhaps of another text. A wrong one will not equal the compiled type.
  if (type.find('.') != std::string::npos) return type;
  return InvalidArgument("{} is declared nowhere in {}", type, package);
}

absl::StatusOr<Facts> Parser::Finish() {
  for (const Pending& fact : pending_) {
    std::string value = fact.before;
    for (size_t i = 0; i < fact.types.size(); ++i) {
      ASSIGN_OR_RETURN(const std::string type, Resolve(fact.types[i], fact.package));
      value += type + fact.after[i];
    }
    RETURN_IF_ERROR(Add(fact.key, value));
  }
  return std::move(facts_);
}

}  // namespace

absl::StatusOr<Facts> ParseFacts(std::string_view text) {
  Parser parser;
  std::istringstream in{std::string(text)};
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (absl::Status status = parser.Line(line); !status.ok()) {
      return Annotate(status, fmt::format("line {}", number));
    }
  }
  return parser.Finish();
}

std::vector<std::string> Differences(const Facts& written, const Facts& compiled) {
  std::vector<std::string> lines;
  for (const auto& [key, value] : written) {
    const auto found = compiled.find(key);
    if (found == compiled.end()) {
      lines.push_back(fmt::format("missing: {} ({})", key, value));
    } else if (found->second != value) {
      lines.push_back(
          fmt::format("{}: written \"{}\", compiled \"{}\"", key, value, found->second));
    }
  }
  for (const auto& [key, value] : compiled) {
    if (!written.contains(key)) lines.push_back(fmt::format("additional: {} ({})", key, value));
  }
  return lines;
}

}  // namespace gantry::contract
