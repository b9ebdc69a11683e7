// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <unordered_map>
#include <vector>

#include "absl/time/time.h"
#include "core/base/status.h"
#include "core/gc/resource.h"

namespace gantry::gc {

// Finds what is alive: roots, and all that can be reached from them by references, labels, back
// references and conditional references. References never cross namespaces.
//
// First Scan() over a read snapshot; later, inside the sweep's transaction, Refresh() for each node
// that changed meanwhile. Not thread-safe. Takes memory in proportion to the number of objects.
class Marker {
 public:
  Marker(std::span<Resource* const> resources, absl::Time now) : resources_(resources), now_(now) {}

  // Reads all objects and marks from the roots among them.
  absl::Status Scan(const metadata::View& view);

  // Takes a node over as it is now and marks it with all that it reaches: what was touched during a
  // collection survives it.
  absl::Status Refresh(const metadata::View& view, const Node& node);

  // Scanned objects that may go, in an order in which they may go one group after the other: see
  // SweepOrder().
  std::vector<std::vector<Node>> Unmarked() const;
  bool IsMarked(const Node& node) const {
    return marked_.contains(node) || marked_flat_.contains(node);
  }

  // The first moment at which a root of now ends; infinite if none does.
  absl::Time next_expiry() const { return next_expiry_; }

 private:
  struct Visit {
    Node node;
    bool flat;
  };
  struct Hash {
    size_t operator()(const Node& node) const;
  };

  void Add(Object object);
  Resource* ResourceFor(metadata::NodeType type) const;
  absl::Status LoadMissing(const Node& node);
  void Mark(Node node, bool flat);
  absl::Status Drain();
  absl::Status Expand(const Visit& visit);
  absl::Status ExpandLabels(const Object& object);
  // All that a scanned node keeps alive, whatever the conditions.
  std::vector<Node> KeptBy(const Node& node) const;
  absl::StatusOr<bool> Holds(const metadata::LabelReferences::Conditional& conditional);

  std::span<Resource* const> resources_;
  const absl::Time now_;
  const metadata::View* live_ =
      nullptr;  // while refreshing: where nodes that the scan did not see are read
  std::unordered_map<Node, Object, Hash> objects_;
  std::unordered_map<Node, std::vector<Node>, Hash>
      back_references_;  // named object -> those that it keeps
  std::set<Node> marked_;
  std::set<Node> marked_flat_;
  std::vector<Visit> pending_;  // an explicit stack: chains may be long
  absl::Time next_expiry_ = absl::InfiniteFuture();
};

}  // namespace gantry::gc
