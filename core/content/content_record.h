// SPDX-License-Identifier: Apache-2.0
// Records of blobs and ingests, and their rows.
#pragma once

#include <optional>
#include <string>
#include <string_view>

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
// Whether there was one.
absl::StatusOr<bool> DeleteBlob(metadata::WriteTxn& txn, std::string_view ns, const Digest& digest);

absl::StatusOr<std::optional<IngestRecord>> GetIngest(const metadata::View& view,
                                                      std::string_view ns, std::string_view ref);
absl::Status PutIngest(metadata::WriteTxn& txn, std::string_view ns, std::string_view ref,
                       const IngestRecord& record);

// Whether any namespace may take over this blob: all may under the shared policy, else those of a
// namespace that says so by its label.
absl::StatusOr<bool> IsShareable(const metadata::View& view, bool policy_shared,
                                 const Digest& digest);

}  // namespace gantry::content
