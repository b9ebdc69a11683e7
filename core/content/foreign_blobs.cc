// SPDX-License-Identifier: Apache-2.0
#include "core/content/foreign_blobs.h"

#include <set>
#include <string>
#include <string_view>
#include <system_error>

#include "core/base/status.h"
#include "core/content/content.h"
#include "core/content/content_record.h"
#include "core/db/key.h"
#include "core/digest/digest.h"
#include "core/metadata/record.h"

namespace gantry::content {
namespace {

namespace fs = std::filesystem;
using metadata::TableId;

absl::Status FromErrorCode(const std::error_code& error, const fs::path& folder) {
  if (!error || error == std::errc::no_such_file_or_directory) return absl::OkStatus();
  return FromErrno(error.value(), fmt::format("list {}", folder.string()));
}

// Digests that have an owner, had one, or are about to get one.
absl::StatusOr<std::set<std::string, std::less<>>> KnownDigests(
    const metadata::Metadata& metadata) {
  std::set<std::string, std::less<>> known;
  ASSIGN_OR_RETURN(const auto txn, metadata.Read());
  RETURN_IF_ERROR(
      txn.raw().ForEach(txn.table(TableId::kBlobOwners), {},
                        [&](std::string_view key, std::string_view) -> absl::StatusOr<db::Scan> {
                          known.emplace(key.substr(0, key.find('\0')));
                          return db::Scan::kContinue;
                        }));
  RETURN_IF_ERROR(txn.raw().ForEach(
      txn.table(TableId::kIngests), {},
      [&](std::string_view, std::string_view bytes) -> absl::StatusOr<db::Scan> {
        ASSIGN_OR_RETURN(const auto record, metadata::Decode<IngestRecord>(bytes));
        for (const std::string& digest : {record.promised(), record.expected()}) {
          if (!digest.empty()) known.insert(digest);
        }
        return db::Scan::kContinue;
      }));
  return known;
}

struct Foreign {
  size_t count = 0;
  std::string example;
};

absl::Status FindIn(const fs::path& folder, const std::set<std::string, std::less<>>& known,
                    Foreign& foreign) {
  std::error_code error;
  for (fs::directory_iterator blob(folder, error); !error && blob != fs::directory_iterator();
       blob.increment(error)) {
    const auto digest =
        Digest::Parse(folder.filename().string() + ":" + blob->path().filename().string());
    if (!digest.ok() || known.contains(digest->str())) continue;  // Other files are never swept.
    if (foreign.count++ == 0) foreign.example = digest->str();
  }
  return FromErrorCode(error, folder);
}

}  // namespace

absl::Status CheckForeignBlobs(const metadata::Metadata* metadata, const fs::path& root) {
  const fs::path store = root / fmt::format("{}.content", kBackend.uri);
  const fs::path blobs = store / "blobs";
  std::set<std::string, std::less<>> known;
  if (metadata != nullptr) {
    ASSIGN_OR_RETURN(known, KnownDigests(*metadata));
  }
  Foreign foreign;
  std::error_code error;
  for (fs::directory_iterator folder(blobs, error); !error && folder != fs::directory_iterator();
       folder.increment(error)) {
    if (folder->is_directory()) RETURN_IF_ERROR(FindIn(folder->path(), known, foreign));
  }
  RETURN_IF_ERROR(FromErrorCode(error, blobs));
  if (foreign.count == 0) return absl::OkStatus();
  return FailedPrecondition(
      "{} holds {} blobs that the database does not know (such as {}): nothing was changed. Either "
      "this folder belongs to another daemon, or the database was replaced by a new or older one. "
      "Ways out: give the daemon another root, bring back the database that belongs to this "
      "folder, or move the unknown blobs away",
      blobs.string(), foreign.count, foreign.example);
}

}  // namespace gantry::content
