// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "core/base/clock.h"
#include "core/base/testing/matchers.h"
#include "core/events/testing/recording_publisher.h"
#include "core/metadata/metadata.h"
#include "core/snapshots/local_snapshotter.h"
#include "core/snapshots/testing/snapshotter_suite.h"

namespace gantry::snapshots {

// A local snapshotter with a database of its own, for the suite.
class LocalTestBed final : public TestBed {
 public:
  using MakeDriver =
      std::function<absl::StatusOr<std::unique_ptr<LocalDriver>>(std::filesystem::path root)>;

  static absl::StatusOr<std::unique_ptr<LocalTestBed>> Make(const std::filesystem::path& root,
                                                            const std::string& name,
                                                            const MakeDriver& make_driver) {
    auto bed = std::make_unique<LocalTestBed>();
    ASSIGN_OR_RETURN(
        bed->metadata_,
        metadata::Metadata::Open(
            {.db = {.path = root / "db", .map_size_bytes = uint64_t{1} << 28, .no_sync = true}},
            bed->clock_));
    ASSIGN_OR_RETURN(auto driver, make_driver(root / name));
    ASSIGN_OR_RETURN(bed->snapshotter_, LocalSnapshotter::Open(*bed->metadata_, bed->publisher_,
                                                               name, std::move(driver), {}));
    return bed;
  }

  Snapshotter& snapshotter() override { return *snapshotter_; }

 private:
  base::SystemClock clock_;
  events::RecordingPublisher publisher_;
  std::unique_ptr<metadata::Metadata> metadata_;
  std::unique_ptr<LocalSnapshotter> snapshotter_;
};

}  // namespace gantry::snapshots
