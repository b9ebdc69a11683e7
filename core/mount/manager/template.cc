// SPDX-License-Identifier: Apache-2.0
#include "core/mount/manager/template.h"

#include <array>
#include <charconv>
#include <vector>

#include "core/base/status.h"

namespace gantry::mount {
namespace {

using Earlier = std::span<const ActiveMount>;

std::vector<std::string_view> SplitWords(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  std::vector<std::string_view> words;
  while (true) {
    const size_t start = text.find_first_not_of(kSpace);
    if (start == std::string_view::npos) return words;
    text.remove_prefix(start);
    const size_t end = std::min(text.find_first_of(kSpace), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

absl::StatusOr<size_t> ParseIndex(std::string_view word, Earlier earlier) {
  int64_t index = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), index);
  if (error != std::errc() || end != word.data() + word.size()) {
    return InvalidArgument("mount template: {} is no index", word);
  }
  if (index < 0 || index >= static_cast<int64_t>(earlier.size())) {
    return InvalidArgument("mount template: index {} is out of bounds, there are {} active mounts",
                           index, earlier.size());
  }
  return static_cast<size_t>(index);
}

struct Field {
  std::string_view name;
  std::string (*of)(const ActiveMount&);
};

constexpr std::array kFields = {
    Field{"source", [](const ActiveMount& active) { return active.mount.source; }},
    Field{"target", [](const ActiveMount& active) { return active.mount.target; }},
    Field{"mount", [](const ActiveMount& active) { return active.mount_point; }},
};

std::string JoinMountPoints(size_t start, size_t end, Earlier earlier) {
  std::string joined;
  for (size_t i = start;; i = start > end ? i - 1 : i + 1) {
    if (i != start) joined += ':';
    joined += earlier[i].mount_point;
    if (i == end) return joined;
  }
}

absl::StatusOr<std::string> Evaluate(std::string_view action, Earlier earlier) {
  const auto words = SplitWords(action);
  if (words.size() == 3 && words[0] == "overlay") {
    ASSIGN_OR_RETURN(const size_t start, ParseIndex(words[1], earlier));
    ASSIGN_OR_RETURN(const size_t end, ParseIndex(words[2], earlier));
    return JoinMountPoints(start, end, earlier);
  }
  for (const Field& field : kFields) {
    if (words.size() != 2 || words[0] != field.name) continue;
    ASSIGN_OR_RETURN(const size_t index, ParseIndex(words[1], earlier));
    return field.of(earlier[index]);
  }
  return InvalidArgument("mount template: {{{{{}}}}} is not understood", action);
}

}  // namespace

absl::StatusOr<std::string> ExpandTemplate(std::string_view text, Earlier earlier) {
  std::string expanded;
  while (true) {
    const size_t open = text.find("{{");
    expanded += text.substr(0, open);
    if (open == std::string_view::npos) return expanded;
    text.remove_prefix(open + 2);
    const size_t close = text.find("}}");
    if (close == std::string_view::npos) return InvalidArgument("mount template: unclosed action");
    ASSIGN_OR_RETURN(const std::string value, Evaluate(text.substr(0, close), earlier));
    expanded += value;
    text.remove_prefix(close + 2);
  }
}

}  // namespace gantry::mount
