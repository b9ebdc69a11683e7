// SPDX-License-Identifier: Apache-2.0
#include "core/mount/manager/plan.h"

#include <algorithm>

namespace gantry::mount {
namespace {

bool Contains(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// Fills in the step's transformations; returns the type under the prefixes.
std::string PlanTransformations(const Mount& mount, const ActivateOptions& options,
                                const Transformers& transformers, Plan::Step& step) {
  std::string type = mount.type;
  while (true) {
    const size_t slash = type.find('/');
    if (slash == std::string::npos) return type;
    const std::string prefix = type.substr(0, slash);
    const auto transformer = transformers.find(prefix);
    if (transformer == transformers.end()) return type;  // some file system's own name
    type = type.substr(slash + 1);
    step.transformations.push_back({.transformer = transformer->second.get(), .type = type});
    if (!Contains(options.own_transforms, prefix) && !Contains(options.own_types, mount.type)) {
      step.to_apply = step.transformations.size();
    }
  }
}

}  // namespace

Plan MakePlan(const Mounts& mounts, const ActivateOptions& options,
              const Transformers& transformers, const Handlers& handlers) {
  Plan plan;
  plan.steps.resize(mounts.size());
  for (size_t i = 0; i < mounts.size(); ++i) {
    Plan::Step& step = plan.steps[i];
    const std::string type = PlanTransformations(mounts[i], options, transformers, step);
    if (step.to_apply > 0) {
      plan.needed = true;
      plan.managed = i;
    }
    const auto handler = handlers.find(type);
    if (handler != handlers.end()) step.handler = handler->second;
    const bool handled = step.handler != nullptr && !Contains(options.own_types, type);
    if (handled || options.temporary) {
      plan.needed = true;
      plan.managed = i + 1;
    }
  }
  return plan;
}

}  // namespace gantry::mount
