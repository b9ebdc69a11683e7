// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "core/base/context.h"
#include "core/base/labels.h"
#include "core/base/status.h"
#include "core/mount/mount.h"
#include "core/snapshots/snapshotter.h"

namespace gantry::snapshots {

// One snapshot as a local driver knows it: a number for a directory, and the numbers of those it
// stands on.
struct Layer {
  uint64_t id = 0;
  Kind kind = Kind::kActive;
  std::vector<uint64_t> parents;  // nearest first
  Labels labels;                  // InheritedLabels() of the snapshot
};

// What lies in a driver's folder.
struct FoundDirectory {
  enum class State { kProvisional, kPublished, kDiscarded };
  uint64_t id = 0;
  State state = State::kPublished;
};

// The directory steps of a snapshotter that keeps its snapshots on this host. LocalSnapshotter does
// everything else: keys, parents, labels, and the order of steps that survives a crash.
//
// An id is used once. Its directory is made under a provisional name before the snapshot is
// recorded, published after, and discarded after the record is gone; each step may come again after
// a crash and then succeeds.
//
// Threads: all methods from any thread; two steps of one id never at the same time.
// Errors:  ResourceExhausted for a full disk, InvalidArgument for labels that the driver cannot
//          follow, else Internal. NotFound never: a missing directory is damage, not a wrong name.
class LocalDriver {
 public:
  virtual ~LocalDriver() = default;

  // Makes the provisional directory of an active snapshot or view, anew if there is one.
  virtual absl::Status Prepare(const Context& ctx, const Layer& layer) = 0;
  // Gives it its name.
  virtual absl::Status Publish(uint64_t id) = 0;
  // Removes whatever there is of it. Ends with `ctx`; what is left then goes the next time.
  virtual absl::Status Discard(const Context& ctx, uint64_t id) = 0;

  // The last step on an active snapshot before it is recorded as committed: what it takes, and with
  // `durable` everything in it forced to disk. The snapshot stays usable if the record fails.
  virtual absl::StatusOr<Usage> Freeze(const Context& ctx, const Layer& layer, bool durable) = 0;
  // What an active snapshot takes now.
  virtual absl::StatusOr<Usage> Measure(const Context& ctx, const Layer& layer) = 0;

  // Of an active snapshot or view.
  virtual mount::Mounts MountsOf(const Layer& layer) const = 0;
  // InvalidArgument for labels that Prepare would refuse: the id maps of an active snapshot or view
  // may change later. Touches no disk.
  virtual absl::Status CheckLabels(const Labels&) const { return absl::OkStatus(); }
  // Labels that clients see beside the stored ones.
  virtual Labels ExtraLabels(const Layer&) const { return {}; }
  // Whether a snapshot that was prepared without parent can get one when it is committed.
  virtual bool can_rebase() const { return false; }

  virtual const std::filesystem::path& root() const = 0;
  // All directories of snapshots in root().
  virtual absl::StatusOr<std::vector<FoundDirectory>> Scan() const = 0;
  // Forces to disk which directories there are, so that no power cut brings one back whose number
  // is forgotten, or takes one away that was there.
  virtual absl::Status SyncNames() = 0;
};

}  // namespace gantry::snapshots
