// SPDX-License-Identifier: Apache-2.0
// The objects that garbage collection knows, and what labels say about them.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "core/base/labels.h"

namespace gantry::metadata {

// Numbers are containerd's, but for the sandbox, which is no node there.
enum class NodeType {
  kContent = 1,
  kSnapshot = 2,
  kContainer = 3,
  kImage = 5,
  kLease = 6,
  kIngest = 7,
  kStream = 9,
  kMount = 10,
  kSandbox = 30,
};

// One object. The key is the object's own within its namespace: a digest, a name, an id, a ref; for
// a snapshot
// "<snapshotter>/<key>".
struct Node {
  NodeType type = NodeType::kContent;
  std::string ns;
  std::string key;

  auto operator<=>(const Node&) const = default;
};

Node SnapshotNode(std::string_view ns, std::string_view snapshotter, std::string_view key);

// "<snapshotter>/<key>" apart; the snapshotter runs to the first '/'.
std::pair<std::string_view, std::string_view> SplitSnapshotKey(std::string_view key);

// What the labels of one object mean to the collector (containerd.io/gc.*).
struct LabelReferences {
  bool root = false;                  // gc.root*
  bool flat = false;                  // gc.flat
  std::optional<absl::Time> expires;  // gc.expire; absent also if it does not parse
  std::vector<Node> targets;          // gc.ref.*: the holder keeps these
  std::vector<Node> holders_of;       // gc.bref.*: the holder is kept while one of these is
  struct Conditional {                // gc.cond.snapshot.*: kept if one condition holds
    Node target;
    std::string conditions;
  };
  std::vector<Conditional> conditional;
  bool any = false;  // some gc.* label is present
};

LabelReferences ParseLabels(std::string_view ns, const Labels& labels);

// Whether one of `conditions` ("usedat<1h,usedat>24h") holds for a snapshot with these labels at
// `now`.
bool ConditionHolds(std::string_view conditions, const Labels& snapshot_labels, absl::Time now);

}  // namespace gantry::metadata
