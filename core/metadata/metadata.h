// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/context.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/db/database.h"
#include "core/metadata/node.h"
#include "core/metadata/schema.h"
#include "core/plugin/plugin.h"

namespace gantry::metadata {

class Metadata;

// What a committed write means to the collector's scheduler.
struct Mutation {
  bool dirty = false;          // something was deleted that kept others, or that was removable
  bool dirty_content = false;  // the content store may hold blobs that nobody owns
  std::vector<std::string> dirty_snapshotters;
  bool by_collector = false;  // no reason for another collection
  // When the first object that was written ceases to be kept by its own expiry.
  absl::Time earliest_expiry = absl::InfiniteFuture();
};

// Either kind of transaction, for code that only reads.
struct View {
  const db::Txn& txn;
  const std::vector<db::Table>& tables;

  db::Table table(TableId id) const { return tables[static_cast<size_t>(id)]; }
  absl::StatusOr<std::optional<std::string_view>> Get(TableId id, std::string_view key) const {
    return txn.Get(table(id), key);
  }
};

// A write transaction that keeps the collector informed. Every store reaches objects through it: a
// node that is created, and each target of a reference that is added (parent, label, lease), must
// be named by Touch() in the same transaction, or a collection that runs meanwhile may remove it.
//
// Valid inside the closure of Metadata::Write only.
class WriteTxn {
 public:
  WriteTxn(db::WriteTxn& txn, Metadata& metadata) : txn_(txn), metadata_(metadata) {}

  db::WriteTxn& raw() { return txn_; }
  View view() const;
  db::Table table(TableId id) const;
  absl::Time now() const;

  absl::StatusOr<std::optional<std::string_view>> Get(TableId id, std::string_view key) const {
    return txn_.Get(table(id), key);
  }
  absl::StatusOr<bool> Has(TableId id, std::string_view key) const {
    return txn_.Has(table(id), key);
  }
  absl::Status Put(TableId id, std::string_view key, std::string_view value) {
    return txn_.Put(table(id), key, value);
  }
  absl::StatusOr<bool> Delete(TableId id, std::string_view key) {
    return txn_.Delete(table(id), key);
  }

  // Names a node that this transaction creates or adds a reference to.
  void Touch(Node node);
  // Touches every target of the object's gc labels, and the object itself if it has any. Notes when
  // a lease or an image expires.
  void TouchLabels(const Node& owner, const Labels& labels);

  // Marks a deletion, as containerd counts them for the collector's schedule: of content,
  // snapshots, images, containers, leases and what leases hold. A change of labels is none.
  void MarkDirty() { mutation_.dirty = true; }
  void MarkContentDirty() { mutation_.dirty = mutation_.dirty_content = true; }
  void MarkSnapshotterDirty(std::string_view name) {
    mutation_.dirty = true;
    mutation_.dirty_snapshotters.emplace_back(name);
  }

  // An object was written that nothing may keep from this moment on.
  void NoteExpiry(absl::Time when) {
    mutation_.earliest_expiry = std::min(mutation_.earliest_expiry, when);
  }

  // This write is the collector's own.
  void MarkByCollector() { mutation_.by_collector = true; }

  // Namespaces come into being with their first object.
  absl::Status EnsureNamespace(std::string_view ns);

  // The next number of a sequence that never goes back: 1, 2, … With `count`, takes that many and
  // returns the last of them.
  absl::StatusOr<uint64_t> NextSequence(std::string_view name, uint64_t count = 1);

  void AfterCommit(db::WriteTxn::Hook hook) { txn_.AfterCommit(std::move(hook)); }

 private:
  friend class Metadata;
  db::WriteTxn& txn_;
  Metadata& metadata_;
  Mutation mutation_;
};

// A snapshot for reading.
class ReadTxn {
 public:
  ReadTxn(db::ReadTxn txn, const Metadata& metadata) : txn_(std::move(txn)), metadata_(metadata) {}

  const db::Txn& raw() const { return txn_; }
  View view() const;
  db::Table table(TableId id) const;
  absl::StatusOr<std::optional<std::string_view>> Get(TableId id, std::string_view key) const {
    return txn_.Get(table(id), key);
  }
  absl::StatusOr<bool> Has(TableId id, std::string_view key) const {
    return txn_.Has(table(id), key);
  }

 private:
  db::ReadTxn txn_;
  const Metadata& metadata_;
};

// The daemon's database: one LMDB environment with the tables of schema.h, and the barrier that
// lets a collection mark without stopping writers.
//
// Threads: all methods from any thread.
class Metadata {
 public:
  struct Options {
    db::Options db;
    bool content_shared = true;  // content_sharing_policy
  };

  // Opens or creates the database and steps its schema up. FailedPrecondition for a schema newer
  // than this program.
  static absl::StatusOr<std::unique_ptr<Metadata>> Open(const Options& options,
                                                        const base::Clock& clock);

  absl::StatusOr<ReadTxn> Read() const;

  // As db::Database::Write; the closure takes a metadata::WriteTxn&.
  template <typename Closure>
  auto Write(const Context& ctx, Closure&& closure) -> std::invoke_result_t<Closure, WriteTxn&> {
    return db_->Write(ctx, [&](db::WriteTxn& raw) -> std::invoke_result_t<Closure, WriteTxn&> {
      WriteTxn txn(raw, *this);
      auto result = closure(txn);
      Finish(txn);
      return result;
    });
  }

  db::Table table(TableId id) const { return tables_[static_cast<size_t>(id)]; }
  const base::Clock& clock() const { return clock_; }
  bool content_shared() const { return options_.content_shared; }
  db::Database::Stats stats() const { return db_->stats(); }

  // Called on the writer thread after each commit; must return at once. None ends it: once this
  // returns, the old one is not called any more.
  void OnMutation(std::function<void(const Mutation&)> observer);

  // The collector's side of the barrier. From BeginBarrier until EndBarrier each touched node is
  // logged; Drain hands over what was logged so far and must be called inside a Write closure.
  absl::Status BeginBarrier(const Context& ctx);
  std::vector<Node> DrainBarrier(const WriteTxn& proof);
  absl::Status EndBarrier(const Context& ctx);

 private:
  friend class WriteTxn;
  friend class ReadTxn;
  Metadata(Options options, const base::Clock& clock)
      : options_(std::move(options)), clock_(clock) {}

  absl::Status UpgradeSchema();
  void Finish(WriteTxn& txn);

  const Options options_;
  const base::Clock& clock_;
  std::vector<db::Table> tables_;
  base::Mutex observer_mutex_;
  std::function<void(const Mutation&)> observer_ ABSL_GUARDED_BY(observer_mutex_);
  // Touched by the writer thread alone.
  bool barrier_active_ = false;
  std::vector<Node> barrier_;
  std::unique_ptr<db::Database> db_;  // Last: its writer thread ends before the rest goes.
};

// The last number that a sequence gave out; 0 before the first.
absl::StatusOr<uint64_t> LastOfSequence(const View& view, std::string_view name);

inline constexpr plugin::Kind<Metadata> kMetadata{"io.containerd.metadata.v1"};

}  // namespace gantry::metadata
