// SPDX-License-Identifier: Apache-2.0
// Overlays whose options do not fit in the one page that mount(2) takes. Used by Mount(); apart so
// that tests reach each way.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/kernel/result.h"

namespace gantry::kernel {

// An overlay's options with the lower directories taken out, nearest first.
struct OverlayOptions {
  std::vector<std::string> lowers;
  std::vector<std::string> others;  // every other data word, in order
};

OverlayOptions SplitOverlayOptions(const std::vector<std::string>& words);
std::string JoinLowers(const std::vector<std::string>& lowers);

// The deepest directory that all `paths` lie in, a path itself when it is the only one; "/" when
// they share nothing.
std::string CommonDirectory(const std::vector<std::string>& paths);

// Names the layers one by one (fsconfig(2), "lowerdir+", Linux 6.7). False when this kernel, or one
// of the options, does not allow that; nothing is mounted then.
Result<bool> MountOverlayByLayers(const std::string& source, const OverlayOptions& options,
                                  unsigned long flags, const std::string& target);

// Names the layers relative to the directory they share, from a child that works there. E2BIG when
// that is longer than a page too.
Result<void> MountOverlayRelative(const std::string& source, const OverlayOptions& options,
                                  unsigned long flags, const std::string& target);

}  // namespace gantry::kernel
