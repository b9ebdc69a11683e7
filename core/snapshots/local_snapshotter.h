// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/mutex.h"
#include "core/events/publisher.h"
#include "core/metadata/metadata.h"
#include "core/snapshots/id_sequence.h"
#include "core/snapshots/local_driver.h"
#include "core/snapshots/snapshot_table.h"
#include "core/snapshots/snapshotter.h"

namespace gantry::snapshots {

// A snapshotter over the daemon's database and a driver for its directories.
//
// A directory is made before its snapshot is recorded and removed after, never inside the
// transaction, so the database is the truth and whatever a crash leaves is known by number.
//
// Ownership: database and publisher are borrowed and outlive it.
// Threads: all methods from any thread that may wait for local disk; answers before it returns.
class LocalSnapshotter final : public Snapshotter {
 public:
  struct Options {
    bool durable_commit = true;  // force a snapshot's files to disk before it counts as committed
    bool sync_remove = false;    // free space in Remove, not in Cleanup
    std::string boot = {};       // names this boot of the machine; empty: what the file says
    std::string boot_file = "/proc/sys/kernel/random/boot_id";
  };

  // Finishes or undoes what a crash left of earlier steps.
  //
  // FailedPrecondition when the driver's folder holds snapshots that this database never made;
  // nothing is changed then.
  static absl::StatusOr<std::unique_ptr<LocalSnapshotter>> Open(metadata::Metadata& metadata,
                                                                events::Publisher& publisher,
                                                                std::string name,
                                                                std::unique_ptr<LocalDriver> driver,
                                                                Options options);

  const std::string& name() const override { return table_.snapshotter(); }
  void Stat(const Context& ctx, std::string key, Done<Info> done) override;
  void Update(const Context& ctx, Info info, metadata::FieldMask mask, Done<Info> done) override;
  void GetUsage(const Context& ctx, std::string key, Done<Usage> done) override;
  void Mounts(const Context& ctx, std::string key, Done<mount::Mounts> done) override;
  void Prepare(const Context& ctx, PrepareRequest request, Done<mount::Mounts> done) override;
  void View(const Context& ctx, PrepareRequest request, Done<mount::Mounts> done) override;
  void Commit(const Context& ctx, CommitRequest request, DoneStatus done) override;
  void Remove(const Context& ctx, std::string key, DoneStatus done) override;
  void List(const Context& ctx, ListRequest request, Done<ListPage> done) override;
  void Cleanup(const Context& ctx, DoneStatus done) override;

  // Snapshots whose directory was missing at start, as "<namespace>/<name>".
  const std::vector<std::string>& damaged() const { return damaged_; }

 private:
  LocalSnapshotter(metadata::Metadata& metadata, events::Publisher& publisher, std::string name,
                   std::unique_ptr<LocalDriver> driver, Options options);

  absl::StatusOr<Info> StatNow(const Context& ctx, std::string_view key) const;
  absl::StatusOr<Info> UpdateNow(const Context& ctx, const Info& info,
                                 const metadata::FieldMask& mask);
  absl::StatusOr<Usage> UsageNow(const Context& ctx, std::string_view key) const;
  absl::StatusOr<mount::Mounts> MountsNow(const Context& ctx, std::string_view key) const;
  absl::StatusOr<mount::Mounts> CreateNow(const Context& ctx, Kind kind, PrepareRequest request);
  absl::Status CommitNow(const Context& ctx, CommitRequest request);
  absl::Status RemoveNow(const Context& ctx, std::string_view key);
  absl::StatusOr<ListPage> ListNow(const Context& ctx, const ListRequest& request) const;
  absl::Status CleanupNow(const Context& ctx);

  // What a client sees of a snapshot.
  Info Show(const Snapshot& snapshot) const;
  absl::StatusOr<Layer> LayerOf(const metadata::View& view, std::string_view ns,
                                const Snapshot& snapshot) const;

  // Creation, in steps (local_create.cc).
  absl::StatusOr<std::vector<uint64_t>> CheckCreate(const Context& ctx,
                                                    const PrepareRequest& request);
  absl::Status MakeDirectory(const Context& ctx, const PrepareRequest& request, const Layer& layer);
  absl::Status RecordNew(const Context& ctx, const PrepareRequest& request, const Layer& layer);
  absl::Status PublishNew(const Context& ctx, const PrepareRequest& request, const Layer& layer);

  // Commit, in steps (local_commit.cc).
  absl::StatusOr<Layer> CheckCommit(const Context& ctx, const CommitRequest& request);
  absl::Status RecordCommit(const Context& ctx, const CommitRequest& request, const Layer& layer,
                            const Usage& usage);

  // Attaches what exists to the caller's lease, durably, and answers AlreadyExists.
  absl::Status AnswerExisting(const Context& ctx, std::string_view key);

  // Frees the directories that are nobody else's business; reports those that are gone.
  absl::Status DiscardAll(const Context& ctx, const std::vector<std::string>& trash);

  metadata::Metadata& metadata_;
  events::Publisher& publisher_;
  const SnapshotTable table_;
  const std::unique_ptr<LocalDriver> driver_;
  const Options options_;
  IdSequence ids_;
  std::vector<std::string> damaged_;

  base::Mutex mutex_;
  std::set<std::string, std::less<>> discarding_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace gantry::snapshots
