// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include "core/metadata/node.h"

namespace gantry::gc {

// Orders nodes so that what keeps another alive comes before it: a sweep in this order may stop
// after any group, or have one of the later nodes kept, and nothing is left whose parts are gone.
// Nodes that keep each other alive, in a circle, form one group; all other groups have one node.
// `kept_by` lists what a node keeps alive; nodes that are not among `nodes` do not count.
//
// Takes time and memory in proportion to nodes and references, and no stack: chains may be long.
std::vector<std::vector<metadata::Node>> SweepOrder(
    std::vector<metadata::Node> nodes,
    const std::function<std::vector<metadata::Node>(const metadata::Node&)>& kept_by);

}  // namespace gantry::gc
