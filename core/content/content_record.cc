// SPDX-License-Identifier: Apache-2.0
#include "core/content/content_record.h"

#include "absl/time/time.h"
#include "core/db/key.h"
#include "core/metadata/record.h"

namespace gantry::content {
namespace {

using metadata::Node;
using metadata::NodeType;
using metadata::TableId;
using BlobRecord = ::gantry::metadata::v1::BlobRecord;
using NamespaceRecord = ::gantry::metadata::v1::NamespaceRecord;

constexpr const char* kShareableLabel = "containerd.io/namespace.shareable";

// No namespace has an empty name: the row of an owner that is none.
std::string RemovableKey(std::string_view digest) { return db::JoinKey({digest, ""}); }

// Notes the blobs that `old` accounts for and `next` does not.
absl::Status NoteUnkept(metadata::WriteTxn& txn, const IngestRecord& old,
                        const IngestRecord& next) {
  for (const std::string& digest : {old.promised(), old.expected()}) {
    if (digest.empty() || digest == next.promised() || digest == next.expected()) continue;
    RETURN_IF_ERROR(NoteRemovable(txn, digest));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Info> DecodeBlob(const Digest& digest, std::string_view bytes) {
  ASSIGN_OR_RETURN(const BlobRecord record, metadata::Decode<BlobRecord>(bytes));
  return Info{.digest = digest,
              .size = record.size(),
              .labels = metadata::FromProto(record.labels()),
              .created_at = metadata::FromProto(record.created_at()),
              .updated_at = metadata::FromProto(record.updated_at())};
}

std::string EncodeBlob(const Info& info) {
  BlobRecord record;
  record.set_size(info.size);
  metadata::ToProto(info.labels, record.mutable_labels());
  *record.mutable_created_at() = metadata::ToProto(info.created_at);
  *record.mutable_updated_at() = metadata::ToProto(info.updated_at);
  return record.SerializeAsString();
}

absl::Status PutBlob(metadata::WriteTxn& txn, std::string_view ns, const Info& info) {
  const Node node{NodeType::kContent, std::string(ns), info.digest.str()};
  txn.Touch(node);
  txn.TouchLabels(node, info.labels);
  RETURN_IF_ERROR(txn.EnsureNamespace(ns));
  RETURN_IF_ERROR(txn.Put(TableId::kBlobOwners, db::JoinKey({info.digest.str(), ns}), {}));
  return txn.Put(TableId::kBlobs, db::JoinKey({ns, info.digest.str()}), EncodeBlob(info));
}

absl::Status NoteRemovable(metadata::WriteTxn& txn, std::string_view digest) {
  txn.MarkContentDirty();
  return txn.Put(TableId::kBlobOwners, RemovableKey(digest),
                 std::to_string(absl::ToUnixNanos(txn.now())));
}

absl::StatusOr<bool> DeleteBlob(metadata::WriteTxn& txn, std::string_view ns,
                                const Digest& digest) {
  RETURN_IF_ERROR(txn.Delete(TableId::kBlobOwners, db::JoinKey({digest.str(), ns})).status());
  ASSIGN_OR_RETURN(const bool known, txn.Delete(TableId::kBlobs, db::JoinKey({ns, digest.str()})));
  if (known) RETURN_IF_ERROR(NoteRemovable(txn, digest.str()));
  return known;
}

absl::StatusOr<bool> IsOwned(const metadata::View& view, const Digest& digest) {
  bool owned = false;
  const std::string prefix = db::KeyPrefix({digest.str()});
  RETURN_IF_ERROR(
      view.txn.ForEach(view.table(TableId::kBlobOwners), prefix,
                       [&](std::string_view key, std::string_view) -> absl::StatusOr<db::Scan> {
                         owned = key.size() > prefix.size();
                         return owned ? db::Scan::kStop : db::Scan::kContinue;
                       }));
  return owned;
}

absl::StatusOr<std::optional<int64_t>> RecordedSize(const metadata::View& view,
                                                    const Digest& digest) {
  std::optional<int64_t> size;
  const std::string prefix = db::KeyPrefix({digest.str()});
  RETURN_IF_ERROR(view.txn.ForEach(
      view.table(TableId::kBlobOwners), prefix,
      [&](std::string_view key, std::string_view) -> absl::StatusOr<db::Scan> {
        const std::string_view ns = key.substr(prefix.size());
        ASSIGN_OR_RETURN(const auto bytes,
                         view.Get(TableId::kBlobs, db::JoinKey({ns, digest.str()})));
        if (!bytes) return db::Scan::kContinue;  // The note of a file without owner.
        ASSIGN_OR_RETURN(const Info info, DecodeBlob(digest, *bytes));
        size = info.size;
        return db::Scan::kStop;
      }));
  return size;
}

absl::StatusOr<std::vector<RemovableBlob>> ListRemovable(const metadata::View& view) {
  std::vector<RemovableBlob> blobs;
  RETURN_IF_ERROR(view.txn.ForEach(
      view.table(TableId::kBlobOwners), {},
      [&](std::string_view key, std::string_view noted) -> absl::StatusOr<db::Scan> {
        const std::vector<std::string_view> parts = db::SplitKey(key);
        if (parts.size() == 2 && parts[1].empty()) {
          blobs.push_back({std::string(parts[0]), std::string(noted)});
        }
        return db::Scan::kContinue;
      }));
  return blobs;
}

absl::Status ForgetRemovable(metadata::WriteTxn& txn, const std::vector<RemovableBlob>& blobs) {
  for (const RemovableBlob& blob : blobs) {
    const std::string key = RemovableKey(blob.digest);
    ASSIGN_OR_RETURN(const auto noted, txn.Get(TableId::kBlobOwners, key));
    if (!noted || *noted != blob.noted) continue;  // Noted again meanwhile.
    RETURN_IF_ERROR(txn.Delete(TableId::kBlobOwners, key).status());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<IngestRecord>> GetIngest(const metadata::View& view,
                                                      std::string_view ns, std::string_view ref) {
  ASSIGN_OR_RETURN(const auto bytes, view.Get(TableId::kIngests, db::JoinKey({ns, ref})));
  if (!bytes) return std::nullopt;
  ASSIGN_OR_RETURN(IngestRecord record, metadata::Decode<IngestRecord>(*bytes));
  return record;
}

absl::StatusOr<bool> DeleteIngest(metadata::WriteTxn& txn, std::string_view ns,
                                  std::string_view ref) {
  ASSIGN_OR_RETURN(const auto record, GetIngest(txn.view(), ns, ref));
  if (!record) return false;
  txn.MarkContentDirty();
  RETURN_IF_ERROR(NoteUnkept(txn, *record, {}));
  return txn.Delete(TableId::kIngests, db::JoinKey({ns, ref}));
}

absl::Status PutIngest(metadata::WriteTxn& txn, std::string_view ns, std::string_view ref,
                       const IngestRecord& record) {
  ASSIGN_OR_RETURN(const auto old, GetIngest(txn.view(), ns, ref));
  if (old) RETURN_IF_ERROR(NoteUnkept(txn, *old, record));
  txn.Touch({NodeType::kIngest, std::string(ns), std::string(ref)});
  if (!record.expected().empty())
    txn.Touch({NodeType::kContent, std::string(ns), record.expected()});
  RETURN_IF_ERROR(txn.EnsureNamespace(ns));
  return txn.Put(TableId::kIngests, db::JoinKey({ns, ref}), record.SerializeAsString());
}

absl::StatusOr<bool> IsShareable(const metadata::View& view, bool policy_shared,
                                 const Digest& digest) {
  if (policy_shared) return true;
  bool shareable = false;
  const std::string prefix = db::KeyPrefix({digest.str()});
  RETURN_IF_ERROR(view.txn.ForEach(
      view.table(TableId::kBlobOwners), prefix,
      [&](std::string_view key, std::string_view) -> absl::StatusOr<db::Scan> {
        ASSIGN_OR_RETURN(const auto bytes,
                         view.Get(TableId::kNamespaces, key.substr(prefix.size())));
        if (!bytes) return db::Scan::kContinue;
        ASSIGN_OR_RETURN(const NamespaceRecord record, metadata::Decode<NamespaceRecord>(*bytes));
        const auto label = record.labels().find(kShareableLabel);
        shareable = label != record.labels().end() && label->second == "true";
        return shareable ? db::Scan::kStop : db::Scan::kContinue;
      }));
  return shareable;
}

}  // namespace gantry::content
