// SPDX-License-Identifier: Apache-2.0
// What a local snapshotter does at start, and what it must not touch.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/metadata/metadata.h"
#include "core/snapshots/local_driver.h"
#include "core/snapshots/snapshot_table.h"

namespace gantry::snapshots {

// All that the database knows of a snapshotter's directories.
struct KnownDirectories {
  struct Owner {
    std::string ns;
    Snapshot snapshot;
  };
  std::map<uint64_t, Owner> snapshots;
  std::set<uint64_t> trash;
  uint64_t high_water = 0;  // no number above was ever given out
};

absl::StatusOr<KnownDirectories> LoadKnownDirectories(const metadata::Metadata& metadata,
                                                      const SnapshotTable& table);

// The directories that this database cannot have left there: another daemon's, or those of a later
// or lost state of this database. Unfinished ones of our own are not among them.
std::vector<FoundDirectory> FindForeign(const KnownDirectories& known,
                                        const std::vector<FoundDirectory>& found);

// Publishes what was recorded, discards what never was, and makes missing directories of active
// snapshots and views anew. What is in the trash stays for Cleanup. Returns the committed snapshots
// whose directory is missing ("<namespace>/<name>"): they cannot be brought back.
//
// FailedPrecondition for foreign directories; then nothing was changed.
absl::StatusOr<std::vector<std::string>> RecoverDirectories(metadata::Metadata& metadata,
                                                            const SnapshotTable& table,
                                                            LocalDriver& driver);

// The daemon's check before it starts anything: FailedPrecondition, with the ways out, if a
// snapshotter's folder below `root` (io.containerd.snapshotter.v1.*) holds snapshots or a database
// that are not this database's. `metadata` is null while there is no database: then any snapshot is
// foreign. Reads only.
absl::Status CheckForeignSnapshots(const metadata::Metadata* metadata,
                                   const std::filesystem::path& root);

}  // namespace gantry::snapshots
