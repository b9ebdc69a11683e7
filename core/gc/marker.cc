// SPDX-License-Identifier: Apache-2.0
#include "core/gc/marker.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

#include "core/gc/sweep_order.h"

namespace gantry::gc {
namespace {

constexpr std::string_view kLabelPrefix = "containerd.io/gc.";

// Other labels would only take memory.
Labels OnlyGcLabels(Labels labels) {
  std::erase_if(labels, [](const auto& label) { return !label.first.starts_with(kLabelPrefix); });
  return labels;
}

}  // namespace

size_t Marker::Hash::operator()(const Node& node) const {
  const size_t key = std::hash<std::string>()(node.key);
  const size_t ns = std::hash<std::string>()(node.ns);
  return key ^ (ns * 31) ^ (static_cast<size_t>(node.type) << 56);
}

Resource* Marker::ResourceFor(metadata::NodeType type) const {
  const auto found = std::ranges::find_if(
      resources_, [&](const Resource* resource) { return resource->type() == type; });
  return found == resources_.end() ? nullptr : *found;
}

void Marker::Add(Object object) {
  object.labels = OnlyGcLabels(std::move(object.labels));
  if (object.root && object.root_until > now_)
    next_expiry_ = std::min(next_expiry_, object.root_until);
  for (const Node& keeper : object.kept_by) back_references_[keeper].push_back(object.node);
  if (!object.labels.empty()) {
    const metadata::LabelReferences references =
        metadata::ParseLabels(object.node.ns, object.labels);
    for (const Node& keeper : references.holders_of)
      back_references_[keeper].push_back(object.node);
  }
  Node node = object.node;
  objects_.insert_or_assign(std::move(node), std::move(object));
}

absl::Status Marker::Scan(const metadata::View& view) {
  for (Resource* resource : resources_) {
    RETURN_IF_ERROR(resource->Scan(view, now_, [this](Object object) {
      Add(std::move(object));
      return absl::OkStatus();
    }));
  }
  for (const auto& [node, object] : objects_) {
    if (object.root) Mark(node, false);
  }
  return Drain();
}

absl::Status Marker::Refresh(const metadata::View& view, const Node& node) {
  Resource* resource = ResourceFor(node.type);
  if (resource == nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::optional<Object> object, resource->Load(view, now_, node));
  if (!object) return absl::OkStatus();
  // Its references may be new although it was visited before.
  Add(*std::move(object));
  marked_.erase(node);
  Mark(node, false);
  live_ = &view;
  absl::Status drained = Drain();
  live_ = nullptr;
  return drained;
}

std::vector<std::vector<Node>> Marker::Unmarked() const {
  std::vector<Node> unmarked;
  for (const auto& [node, object] : objects_) {
    if (object.collectible && !IsMarked(node)) unmarked.push_back(node);
  }
  return SweepOrder(std::move(unmarked), [this](const Node& node) { return KeptBy(node); });
}

std::vector<Node> Marker::KeptBy(const Node& node) const {
  std::vector<Node> kept;
  if (const auto holders = back_references_.find(node); holders != back_references_.end())
    kept = holders->second;
  const auto found = objects_.find(node);
  if (found == objects_.end()) return kept;
  const Object& object = found->second;
  kept.insert(kept.end(), object.keeps.begin(), object.keeps.end());
  if (object.labels.empty()) return kept;
  metadata::LabelReferences references = metadata::ParseLabels(node.ns, object.labels);
  std::ranges::move(references.targets, std::back_inserter(kept));
  for (auto& conditional : references.conditional) kept.push_back(std::move(conditional.target));
  return kept;
}

void Marker::Mark(Node node, bool flat) {
  auto& seen = flat ? marked_flat_ : marked_;
  if (seen.insert(node).second) pending_.push_back({std::move(node), flat});
}

absl::Status Marker::Drain() {
  while (!pending_.empty()) {
    const Visit visit = std::move(pending_.back());
    pending_.pop_back();
    RETURN_IF_ERROR(Expand(visit));
  }
  return absl::OkStatus();
}

absl::Status Marker::LoadMissing(const Node& node) {
  if (live_ == nullptr || objects_.contains(node)) return absl::OkStatus();
  Resource* resource = ResourceFor(node.type);
  if (resource == nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::optional<Object> object, resource->Load(*live_, now_, node));
  if (object) Add(*std::move(object));
  return absl::OkStatus();
}

absl::Status Marker::Expand(const Visit& visit) {
  RETURN_IF_ERROR(LoadMissing(visit.node));
  const auto found = objects_.find(visit.node);
  if (found == objects_.end()) return absl::OkStatus();  // A dangling reference.
  // Expanding may load further objects, which moves nothing: references to map elements stay valid.
  const Object& object = found->second;
  for (const Node& kept : object.keeps) Mark(kept, visit.flat || object.keeps_flat);
  if (const auto holders = back_references_.find(visit.node); holders != back_references_.end()) {
    for (const Node& holder : holders->second) Mark(holder, false);
  }
  return visit.flat ? absl::OkStatus() : ExpandLabels(object);
}

absl::Status Marker::ExpandLabels(const Object& object) {
  if (object.labels.empty()) return absl::OkStatus();
  metadata::LabelReferences references = metadata::ParseLabels(object.node.ns, object.labels);
  for (Node& target : references.targets) Mark(std::move(target), false);
  for (const auto& conditional : references.conditional) {
    ASSIGN_OR_RETURN(const bool holds, Holds(conditional));
    if (holds) Mark(conditional.target, false);
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> Marker::Holds(const metadata::LabelReferences::Conditional& conditional) {
  RETURN_IF_ERROR(LoadMissing(conditional.target));
  const auto target = objects_.find(conditional.target);
  if (target == objects_.end()) return false;
  return metadata::ConditionHolds(conditional.conditions, target->second.labels, now_);
}

}  // namespace gantry::gc
