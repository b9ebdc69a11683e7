// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/bundle_remains.h"

#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "core/base/kernel_status.h"
#include "core/kernel/tree.h"
#include "core/log/log.h"

namespace gantry::runtime {
namespace {

namespace fs = std::filesystem;

void RemoveRemains(const std::vector<fs::path>& remains) {
  for (const fs::path& path : remains) {
    const absl::Status removed = ToStatus(kernel::RemoveTree(path.string()));
    if (!removed.ok()) {
      log::Warn("cannot remove a half removed bundle",
                {{"path", path.string()}, {"error", removed}});
    }
  }
}

// Renames twins without a bundle, which a reboot leaves, so that they are in nobody's way: a create
// makes its own.
std::vector<fs::path> SetAsideOrphans(const BundleListing& bundles, const BundleListing& twins,
                                      const fs::path& root) {
  const std::set<std::pair<std::string, std::string>> alive(bundles.bundles.begin(),
                                                            bundles.bundles.end());
  std::vector<fs::path> orphans;
  for (const auto& [ns, id] : twins.bundles) {
    if (alive.contains({ns, id})) continue;
    const fs::path aside = root / ns / ("." + id);
    RemoveRemains({aside});
    std::error_code error;
    fs::rename(root / ns / id, aside, error);
    orphans.push_back(error ? root / ns / id : aside);
  }
  return orphans;
}

}  // namespace

void ClearRemains(Steps& slow, const BundleListing& bundles, const BundleListing& twins,
                  const fs::path& root) {
  for (std::vector<fs::path> remains :
       {bundles.remains, twins.remains, SetAsideOrphans(bundles, twins, root)}) {
    slow.Run([remains = std::move(remains)] { RemoveRemains(remains); });
  }
}

}  // namespace gantry::runtime
