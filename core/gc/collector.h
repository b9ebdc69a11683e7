// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "core/base/context.h"
#include "core/base/status.h"
#include "core/gc/cleaners.h"
#include "core/gc/resource.h"
#include "core/metadata/metadata.h"

namespace gantry::gc {

class Marker;

// Removes what nothing keeps. Marks on a read snapshot while writers go on: whatever they touch
// meanwhile is logged by the database's barrier and marked before the sweep deletes anything, so no
// call waits for a collection.
//
// Ownership: resources and backends are borrowed and outlive it.
// Threads:   Collect() from one thread at a time; NoteMutation() from any.
class Collector {
 public:
  // `backends` go by "content" and "snapshots/<name>"; the first run cleans up behind all of them.
  Collector(metadata::Metadata& metadata, std::vector<Resource*> resources,
            std::map<std::string, Backend*> backends);

  struct Result {
    absl::Duration lock_time;  // what the sweep took of the writer thread
    size_t removed = 0;
    absl::Time next_expiry = absl::InfiniteFuture();
    bool cleaned = true;  // false: a backend failed or is still busy and must be gone to again
  };

  // One run: mark, sweep, then clean up behind the dirty stores (see Cleaners). An error in mark
  // changes nothing; one in the sweep keeps what was removed until then removed, and told.
  absl::StatusOr<Result> Collect(const Context& ctx);

  // Remembers which backends may hold bytes without owner. Called for each committed write.
  void NoteMutation(const metadata::Mutation& mutation);

 private:
  absl::Status Mark(Marker& marker);
  absl::Status MarkTouched(metadata::WriteTxn& txn, Marker& marker);
  // Adds to `removed` what a commit has removed, also before an error.
  absl::Status Sweep(const Context& ctx, Marker& marker, std::vector<Node>& removed,
                     absl::Duration& lock_time);
  absl::Status SweepBatch(const Context& ctx, Marker& marker, const std::vector<Node>& batch,
                          std::vector<Node>& removed, absl::Duration& lock_time);
  absl::Status SweepOne(metadata::WriteTxn& txn, const Node& node);
  void Announce(const std::vector<Node>& removed);

  metadata::Metadata& metadata_;
  const std::vector<Resource*> resources_;
  Cleaners cleaners_;
};

}  // namespace gantry::gc
