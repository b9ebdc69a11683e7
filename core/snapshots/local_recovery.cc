// SPDX-License-Identifier: Apache-2.0
#include "core/snapshots/local_recovery.h"

#include <algorithm>
#include <string_view>
#include <system_error>

#include "core/db/key.h"
#include "core/log/log.h"
#include "core/snapshots/id_sequence.h"
#include "core/snapshots/snapshot_directories.h"

namespace gantry::snapshots {
namespace {

namespace fs = std::filesystem;
using metadata::TableId;
using State = FoundDirectory::State;

std::string OnDiskKey(std::string_view snapshotter) {
  return fmt::format("snapshots-on-disk/{}", snapshotter);
}

absl::Status LoadOnDisk(const metadata::View& view, std::string_view snapshotter,
                        KnownDirectories& known) {
  ASSIGN_OR_RETURN(const auto row, view.Get(TableId::kMeta, OnDiskKey(snapshotter)));
  if (!row) return absl::OkStatus();
  const std::vector<std::string_view> parts = db::SplitKey(*row);
  const auto id = parts.size() == 2 ? ParseId(parts[1]) : std::nullopt;
  if (!id) return DataLoss("note of the snapshots on disk does not parse");
  known.boot = parts[0];
  known.on_disk = *id;
  return absl::OkStatus();
}

absl::Status LoadSnapshots(const metadata::View& view, std::string_view snapshotter,
                           KnownDirectories& known) {
  return view.txn.ForEach(
      view.table(TableId::kSnapshots), {},
      [&](std::string_view key, std::string_view bytes) -> absl::StatusOr<db::Scan> {
        const auto parts = db::SplitKey(key);
        if (parts.size() != 3) return DataLoss("snapshot record with a key of another shape");
        if (parts[1] != snapshotter) return db::Scan::kContinue;
        ASSIGN_OR_RETURN(Snapshot snapshot, DecodeSnapshot(parts[2], bytes));
        const uint64_t id = snapshot.local_id;
        if (id != 0)
          known.snapshots.emplace(id, KnownDirectories::Owner{std::string(parts[0]), snapshot});
        return db::Scan::kContinue;
      });
}

absl::Status ForeignError(const fs::path& folder, const std::vector<FoundDirectory>& foreign) {
  return FailedPrecondition(
      "{}/snapshots holds {} snapshots that the database does not know (such as {}): nothing was "
      "changed. Either this folder belongs to another daemon, or the database was replaced by a "
      "new or older one. Ways out: give the daemon another root, bring back the database that "
      "belongs to this folder, or move the unknown directories away",
      folder.string(), foreign.size(), foreign.front().id);
}

std::string Name(const KnownDirectories::Owner& owner) {
  return owner.ns + "/" + owner.snapshot.info.name;
}

// Brings the directories of one driver in line with what the database says of them.
class Recovery {
 public:
  Recovery(metadata::Metadata& metadata, const SnapshotTable& table, LocalDriver& driver,
           const KnownDirectories& known, const std::string& boot)
      : metadata_(metadata), table_(table), driver_(driver), known_(known), boot_(boot) {}

  absl::Status Settle(const std::vector<FoundDirectory>& found) {
    for (const FoundDirectory& directory : found) {
      const auto owner = known_.snapshots.find(directory.id);
      const bool recorded = owner != known_.snapshots.end();
      const bool provisional = directory.state == State::kProvisional;
      // It may be a half made replacement: the next step makes it again.
      if (provisional && recorded && CanMakeAnew(owner->second.snapshot)) continue;
      if (recorded) present_.insert(directory.id);
      if (!provisional) continue;
      // A snapshot that was recorded but not yet published was not yet shown to anyone either.
      RETURN_IF_ERROR(recorded ? driver_.Publish(directory.id) : driver_.Discard({}, directory.id));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::string>> MakeMissing() {
    std::vector<std::string> damaged;
    for (const auto& [id, owner] : known_.snapshots) {
      if (present_.contains(id)) continue;
      const bool can_make = CanMakeAnew(owner.snapshot);
      const absl::Status made =
          can_make ? MakeAnew(owner) : DataLoss("directory {} is missing", id);
      if (can_make && !made.ok()) {
        may_be_made_later_ = true;
        // Half of it must not stay: whoever asks for the snapshot would give it its name.
        RETURN_IF_ERROR(DiscardHalf(id));
      }
      if (made.ok()) {
        log::Warn("directory of a snapshot was missing and was made anew",
                  {{"snapshotter", table_.snapshotter()}, {"snapshot", Name(owner)}, {"id", id}});
        continue;
      }
      log::Error("snapshot has lost its directory", {{"snapshotter", table_.snapshotter()},
                                                     {"snapshot", Name(owner)},
                                                     {"id", id},
                                                     {"error", made}});
      damaged.push_back(Name(owner));
    }
    return damaged;
  }

  // Makes what is there now the state to compare with at the next start.
  absl::Status NoteOnDisk() {
    // What could not be made for now is to be made at the next start: it must still look lost then.
    if (boot_.empty() || may_be_made_later_) return absl::OkStatus();
    if (known_.boot == boot_ && known_.on_disk == known_.high_water) return absl::OkStatus();
    RETURN_IF_ERROR(driver_.SyncNames());
    return metadata_.Write({}, [&](metadata::WriteTxn& txn) {
      return txn.Put(TableId::kMeta, OnDiskKey(table_.snapshotter()),
                     db::JoinKey({boot_, std::to_string(known_.high_water)}));
    });
  }

 private:
  absl::Status DiscardHalf(uint64_t id) {
    const absl::Status discarded = driver_.Discard({}, id);
    if (discarded.ok()) return discarded;
    // A disk that takes no write has not taken the half either.
    ASSIGN_OR_RETURN(const std::vector<FoundDirectory> found, driver_.Scan());
    const bool there = std::any_of(found.begin(), found.end(),
                                   [&](const FoundDirectory& one) { return one.id == id; });
    return there ? discarded : absl::OkStatus();
  }

  // A view has no bytes of its own. An active snapshot that a power cut took had none that were
  // promised.
  bool CanMakeAnew(const Snapshot& snapshot) const {
    return snapshot.info.kind == Kind::kView ||
           (snapshot.info.kind == Kind::kActive && LostByPowerCut(snapshot));
  }

  bool LostByPowerCut(const Snapshot& snapshot) const {
    return snapshot.local_id > known_.on_disk && !boot_.empty() && !known_.boot.empty() &&
           known_.boot != boot_;
  }

  absl::Status MakeAnew(const KnownDirectories::Owner& owner) {
    const Snapshot& snapshot = owner.snapshot;
    Layer layer{.id = snapshot.local_id,
                .kind = snapshot.info.kind,
                .labels = InheritedLabels(snapshot.info.labels)};
    {
      ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
      ASSIGN_OR_RETURN(layer.parents,
                       table_.LocalChain(txn.view(), owner.ns, snapshot.info.parent));
    }
    RETURN_IF_ERROR(driver_.Prepare({.ns = owner.ns}, layer));
    return driver_.Publish(layer.id);
  }

  metadata::Metadata& metadata_;
  const SnapshotTable& table_;
  LocalDriver& driver_;
  const KnownDirectories& known_;
  bool may_be_made_later_ = false;  // a directory that is missing could not be made for now
  const std::string& boot_;
  std::set<uint64_t> present_;
};

}  // namespace

absl::StatusOr<KnownDirectories> LoadKnownDirectories(const metadata::Metadata& metadata,
                                                      const SnapshotTable& table) {
  KnownDirectories known;
  ASSIGN_OR_RETURN(const auto txn, metadata.Read());
  RETURN_IF_ERROR(LoadSnapshots(txn.view(), table.snapshotter(), known));
  RETURN_IF_ERROR(LoadOnDisk(txn.view(), table.snapshotter(), known));
  ASSIGN_OR_RETURN(const std::vector<std::string> trash, table.Trash(txn.view(), {}, 0));
  for (const std::string& number : trash) {
    if (const auto id = ParseId(number)) known.trash.insert(*id);
  }
  ASSIGN_OR_RETURN(known.high_water,
                   metadata::LastOfSequence(txn.view(), IdSequence::NameFor(table.snapshotter())));
  return known;
}

std::vector<FoundDirectory> FindForeign(const KnownDirectories& known,
                                        const std::vector<FoundDirectory>& found) {
  std::vector<FoundDirectory> foreign;
  std::ranges::copy_if(found, std::back_inserter(foreign), [&](const FoundDirectory& directory) {
    switch (directory.state) {
      case State::kProvisional:
        return directory.id > known.high_water;
      case State::kPublished:
        return !known.snapshots.contains(directory.id) && !known.trash.contains(directory.id);
      case State::kDiscarded:
        break;
    }
    return !known.trash.contains(directory.id);
  });
  return foreign;
}

absl::StatusOr<std::vector<std::string>> RecoverDirectories(metadata::Metadata& metadata,
                                                            const SnapshotTable& table,
                                                            LocalDriver& driver,
                                                            const std::string& boot) {
  ASSIGN_OR_RETURN(const KnownDirectories known, LoadKnownDirectories(metadata, table));
  ASSIGN_OR_RETURN(const std::vector<FoundDirectory> found, driver.Scan());
  if (const auto foreign = FindForeign(known, found); !foreign.empty())
    return ForeignError(driver.root(), foreign);
  Recovery recovery(metadata, table, driver, known, boot);
  RETURN_IF_ERROR(recovery.Settle(found));
  ASSIGN_OR_RETURN(std::vector<std::string> damaged, recovery.MakeMissing());
  if (const absl::Status noted = recovery.NoteOnDisk(); !noted.ok()) {
    // The note of an earlier start stays: as good, but for directories made since.
    log::Warn("cannot note which snapshots are on disk",
              {{"snapshotter", table.snapshotter()}, {"error", noted}});
  }
  return damaged;
}

absl::Status CheckForeignSnapshots(const metadata::Metadata* metadata, const fs::path& root) {
  std::error_code error;
  fs::directory_iterator entry(root, error);
  if (error == std::errc::no_such_file_or_directory) return absl::OkStatus();
  const std::string prefix = std::string(kSnapshotter.uri) + ".";
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string folder = entry->path().filename();
    if (!folder.starts_with(prefix)) continue;
    if (fs::exists(entry->path() / "metadata.db")) {
      return FailedPrecondition(
          "{} belongs to containerd (it holds metadata.db): nothing was changed. Ways out: give "
          "the daemon another root, or move this folder away",
          entry->path().string());
    }
    KnownDirectories known;
    if (metadata != nullptr) {
      const SnapshotTable table(folder.substr(prefix.size()));
      ASSIGN_OR_RETURN(known, LoadKnownDirectories(*metadata, table));
    }
    ASSIGN_OR_RETURN(const auto found, ScanSnapshotDirectories(entry->path()));
    if (const auto foreign = FindForeign(known, found); !foreign.empty())
      return ForeignError(entry->path(), foreign);
  }
  return error ? Internal("read {}: {}", root.string(), error.message()) : absl::OkStatus();
}

}  // namespace gantry::snapshots
