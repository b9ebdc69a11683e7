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
  // Of the last start: which boot of the machine it was in, and the highest number given out until
  // then. All directories up to it were on disk.
  std::string boot;
  uint64_t on_disk = 0;
};

absl::StatusOr<KnownDirectories> LoadKnownDirectories(const metadata::Metadata& metadata,
                                                      const SnapshotTable& table);

// The directories that this database cannot have left there: another daemon's, or those of a later
// or lost state of this database. Unfinished ones of our own are not among them.
std::vector<FoundDirectory> FindForeign(const KnownDirectories& known,
                                        const std::vector<FoundDirectory>& found);

// Publishes what was recorded and discards what never was. What is in the trash stays for Cleanup.
//
// A missing directory of an active snapshot is made anew if a power cut explains it: it was made
// since the last start, and the machine was booted since. What was forced to disk in it would have
// brought it along, so nothing is lost that was promised. That of a view is made anew always. So is
// one of these that is unfinished: it may be what an earlier start was making. Returns the
// snapshots whose directory is missing otherwise ("<namespace>/<name>"): they cannot be brought
// back, and must not look like empty ones.
//
// `boot` names this boot of the machine; without a name no power cut is recognized. It may end with
// FailedPrecondition for foreign directories; then nothing was changed.
absl::StatusOr<std::vector<std::string>> RecoverDirectories(metadata::Metadata& metadata,
                                                            const SnapshotTable& table,
                                                            LocalDriver& driver,
                                                            const std::string& boot);

// The daemon's check before it starts anything: FailedPrecondition, with the ways out, if a
// snapshotter's folder below `root` (io.containerd.snapshotter.v1.*) holds snapshots or a database
// that are not this database's. `metadata` is null while there is no database: then any snapshot is
// foreign. Reads only.
absl::Status CheckForeignSnapshots(const metadata::Metadata* metadata,
                                   const std::filesystem::path& root);

}  // namespace gantry::snapshots
