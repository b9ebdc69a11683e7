// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/mount/manager/activation.h"
#include "core/mount/manager/handler.h"
#include "core/mount/manager/transformer.h"

namespace gantry::mount {

// By mount type; borrowed.
using Handlers = std::map<std::string, MountHandler*, std::less<>>;

// How an activation splits the work between the manager and the caller.
struct Plan {
  struct Transformation {
    const Transformer* transformer = nullptr;
    std::string type;  // of the mount once the prefix is off
  };
  struct Step {
    std::vector<Transformation> transformations;  // outermost first
    size_t to_apply = 0;  // how many of them are the manager's if the caller makes the mount
    MountHandler* handler = nullptr;  // null: mount(2)
  };

  std::vector<Step> steps;  // one per mount
  size_t managed = 0;       // mounts before this are the manager's
  bool needed = false;      // false: the caller can do all of it
};

// The manager makes every mount up to the last one that the caller cannot make: one with a handler,
// or any if the activation is temporary. It also makes those before a mount that it has to
// transform, and hands that mount over transformed.
//
// What the caller does itself (own_types, own_transforms) it can do at the end of a chain alone: a
// transformation works on what the ones outside of it made.
Plan MakePlan(const Mounts& mounts, const ActivateOptions& options,
              const Transformers& transformers, const Handlers& handlers);

}  // namespace gantry::mount
