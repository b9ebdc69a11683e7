// SPDX-License-Identifier: Apache-2.0
#include "core/metadata/node.h"

#include <array>
#include <utility>

#include "absl/strings/str_split.h"

namespace gantry::metadata {
namespace {

constexpr std::string_view kPrefix = "containerd.io/gc.";
constexpr std::string_view kUsedAt = "containerd.io/gc.cond.value-usedat";

std::optional<absl::Time> ParseTime(std::string_view text) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, absl::string_view(text.data(), text.size()), &time,
                       &error))
    return std::nullopt;
  return time;
}

bool ConsumePrefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// After the kind of a reference: nothing, or '.' or '/' and an ignored name.
bool IsSuffix(std::string_view rest) {
  return rest.empty() || rest.front() == '.' || rest.front() == '/';
}

struct SimpleKind {
  std::string_view name;
  NodeType type;
};
constexpr std::array kReferenceKinds = {
    SimpleKind{"content", NodeType::kContent},
    SimpleKind{"image", NodeType::kImage},
    SimpleKind{"stream", NodeType::kStream},
    SimpleKind{"mount", NodeType::kMount},
};
constexpr std::array kBackReferenceKinds = {
    SimpleKind{"container", NodeType::kContainer},
    SimpleKind{"content", NodeType::kContent},
    SimpleKind{"image", NodeType::kImage},
};

// The node that "<kind>[suffix]" with this value names.
template <size_t N>
std::optional<Node> ParseTarget(const std::array<SimpleKind, N>& kinds, std::string_view kind,
                                std::string_view ns, std::string_view value) {
  if (ConsumePrefix(kind, "snapshot.")) {
    const std::string_view snapshotter = kind.substr(0, kind.find('/'));
    if (snapshotter.empty()) return std::nullopt;
    return SnapshotNode(ns, snapshotter, value);
  }
  for (const SimpleKind& entry : kinds) {
    std::string_view rest = kind;
    if (ConsumePrefix(rest, entry.name) && IsSuffix(rest))
      return Node{entry.type, std::string(ns), std::string(value)};
  }
  return std::nullopt;
}

void ParseConditional(std::string_view kind, std::string_view ns, std::string_view value,
                      LabelReferences& references) {
  const size_t bar = value.find('|');
  if (bar == std::string_view::npos) return;
  if (auto target = ParseTarget(std::array<SimpleKind, 0>{}, kind, ns, value.substr(bar + 1))) {
    references.conditional.push_back({*std::move(target), std::string(value.substr(0, bar))});
  }
}

void ParseOne(std::string_view name, std::string_view ns, std::string_view value,
              LabelReferences& references) {
  if (name.starts_with("root")) {
    references.root = true;
  } else if (name == "flat") {
    references.flat = true;
  } else if (name == "expire") {
    references.expires = ParseTime(value);
  } else if (ConsumePrefix(name, "ref.")) {
    if (auto target = ParseTarget(kReferenceKinds, name, ns, value))
      references.targets.push_back(*std::move(target));
  } else if (ConsumePrefix(name, "bref.")) {
    if (auto target = ParseTarget(kBackReferenceKinds, name, ns, value))
      references.holders_of.push_back(*std::move(target));
  } else if (ConsumePrefix(name, "cond.")) {
    ParseConditional(name, ns, value, references);
  }
}

}  // namespace

Node SnapshotNode(std::string_view ns, std::string_view snapshotter, std::string_view key) {
  std::string joined(snapshotter);
  joined += '/';
  joined += key;
  return {NodeType::kSnapshot, std::string(ns), std::move(joined)};
}

std::pair<std::string_view, std::string_view> SplitSnapshotKey(std::string_view key) {
  const size_t slash = key.find('/');
  if (slash == std::string_view::npos) return {key, {}};
  return {key.substr(0, slash), key.substr(slash + 1)};
}

LabelReferences ParseLabels(std::string_view ns, const Labels& labels) {
  LabelReferences references;
  for (auto label = labels.lower_bound(kPrefix);
       label != labels.end() && label->first.starts_with(kPrefix); ++label) {
    references.any = true;
    ParseOne(std::string_view(label->first).substr(kPrefix.size()), ns, label->second, references);
  }
  return references;
}

bool ConditionHolds(std::string_view conditions, const Labels& snapshot_labels, absl::Time now) {
  const auto label = snapshot_labels.find(kUsedAt);
  if (label == snapshot_labels.end()) return false;
  const std::optional<absl::Time> used_at = ParseTime(label->second);
  if (!used_at) return false;
  for (absl::string_view piece :
       absl::StrSplit(absl::string_view(conditions.data(), conditions.size()), ',')) {
    std::string_view condition(piece.data(), piece.size());
    if (!ConsumePrefix(condition, "usedat") || condition.size() < 2) continue;
    const char op = condition.front();
    absl::Duration age;
    if (!absl::ParseDuration(absl::string_view(condition.data() + 1, condition.size() - 1), &age))
      continue;
    if (op == '<' && now - *used_at < age) return true;
    if (op == '>' && now - *used_at > age) return true;
  }
  return false;
}

}  // namespace gantry::metadata
