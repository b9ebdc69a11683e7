// SPDX-License-Identifier: Apache-2.0
// Records of blobs and ingests, and their rows.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/content/content.h"
#include "core/metadata/metadata.h"
#include "proto/gantry/metadata/v1/records.pb.h"

namespace gantry::content {

using IngestRecord = ::gantry::metadata::v1::IngestRecord;

absl::StatusOr<Info> DecodeBlob(const Digest& digest, std::string_view bytes);
std::string EncodeBlob(const Info& info);

// Writes the row of a blob and the one that finds its namespaces. Tells the collector.
absl::Status PutBlob(metadata::WriteTxn& txn, std::string_view ns, const Info& info);
// Whether there was one. The file is noted as removable.
absl::StatusOr<bool> DeleteBlob(metadata::WriteTxn& txn, std::string_view ns, const Digest& digest);

// Whether any namespace has a record of the blob.
absl::StatusOr<bool> IsOwned(const metadata::View& view, const Digest& digest);

// The size of the blob as its owners have it; nothing without one.
absl::StatusOr<std::optional<int64_t>> RecordedSize(const metadata::View& view,
                                                    const Digest& digest);

// Notes that the blob's file may be there without an owner. So the files that this database left
// are told from those that it never heard of.
absl::Status NoteRemovable(metadata::WriteTxn& txn, std::string_view digest);
struct RemovableBlob {
  std::string digest;
  std::string noted;
};
absl::StatusOr<std::vector<RemovableBlob>> ListRemovable(const metadata::View& view);
// Drops notes that are still as they were listed.
absl::Status ForgetRemovable(metadata::WriteTxn& txn, const std::vector<RemovableBlob>& blobs);

absl::StatusOr<std::optional<IngestRecord>> GetIngest(const metadata::View& view,
                                                      std::string_view ns, std::string_view ref);
// Whether there was one. What it may have put among the blobs is noted as removable.
absl::StatusOr<bool> DeleteIngest(metadata::WriteTxn& txn, std::string_view ns,
                                  std::string_view ref);
absl::Status PutIngest(metadata::WriteTxn& txn, std::string_view ns, std::string_view ref,
                       const IngestRecord& record);

// Whether any namespace may take over this blob: all may under the shared policy, else those of a
// namespace that says so by its label.
absl::StatusOr<bool> IsShareable(const metadata::View& view, bool policy_shared,
                                 const Digest& digest);

}  // namespace gantry::content
