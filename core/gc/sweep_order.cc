// SPDX-License-Identifier: Apache-2.0
#include "core/gc/sweep_order.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace gantry::gc {
namespace {

using metadata::Node;

// Tarjan's strongly connected components. It finds a component after all that the component
// reaches, so the reverse of its order is ours.
class Components {
 public:
  Components(std::vector<Node> nodes, const std::function<std::vector<Node>(const Node&)>& kept_by)
      : nodes_(std::move(nodes)), kept_by_(kept_by), states_(nodes_.size()) {
    std::ranges::sort(nodes_);
  }

  std::vector<std::vector<Node>> Find() {
    for (size_t node = 0; node < nodes_.size(); ++node) {
      if (states_[node].number == 0) Visit(node);
    }
    std::ranges::reverse(found_);
    return std::move(found_);
  }

 private:
  struct State {
    size_t number = 0;  // in the order of first visits, from 1; 0: not visited
    size_t lowest = 0;  // smallest number on the path that it reaches
    bool on_path = false;
  };
  struct Step {
    size_t node;
    std::vector<size_t> kept;
    size_t next = 0;
  };

  void Visit(size_t start) {
    Enter(start);
    while (!steps_.empty()) {
      Step& step = steps_.back();
      if (step.next == step.kept.size()) {
        Leave();
        continue;
      }
      const size_t kept = step.kept[step.next++];
      State& state = states_[step.node];
      if (states_[kept].number == 0) {
        Enter(kept);
      } else if (states_[kept].on_path) {
        state.lowest = std::min(state.lowest, states_[kept].number);
      }
    }
  }

  void Enter(size_t node) {
    states_[node] = {.number = ++visited_, .lowest = visited_, .on_path = true};
    path_.push_back(node);
    steps_.push_back({.node = node, .kept = IndexesOf(kept_by_(nodes_[node]))});
  }

  void Leave() {
    const size_t node = steps_.back().node;
    steps_.pop_back();
    const State state = states_[node];
    if (!steps_.empty()) {
      State& before = states_[steps_.back().node];
      before.lowest = std::min(before.lowest, state.lowest);
    }
    if (state.lowest == state.number) TakeComponent(node);
  }

  void TakeComponent(size_t first) {
    std::vector<Node> component;
    size_t node = 0;
    do {
      node = path_.back();
      path_.pop_back();
      states_[node].on_path = false;
      component.push_back(nodes_[node]);
    } while (node != first);
    found_.push_back(std::move(component));
  }

  std::vector<size_t> IndexesOf(const std::vector<Node>& nodes) const {
    std::vector<size_t> indexes;
    for (const Node& node : nodes) {
      const auto found = std::ranges::lower_bound(nodes_, node);
      if (found != nodes_.end() && *found == node)
        indexes.push_back(static_cast<size_t>(found - nodes_.begin()));
    }
    return indexes;
  }

  std::vector<Node> nodes_;
  const std::function<std::vector<Node>(const Node&)>& kept_by_;
  std::vector<State> states_;
  size_t visited_ = 0;
  std::vector<size_t> path_;
  std::vector<Step> steps_;
  std::vector<std::vector<Node>> found_;
};

}  // namespace

std::vector<std::vector<Node>> SweepOrder(
    std::vector<Node> nodes, const std::function<std::vector<Node>(const Node&)>& kept_by) {
  return Components(std::move(nodes), kept_by).Find();
}

}  // namespace gantry::gc
