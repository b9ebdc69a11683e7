// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "core/base/status.h"

namespace gantry::content {

// One folder `ingest/<sha256 of the ref>` with the small files that describe an ingest, in
// containerd's layout:
//   data       bytes so far
//   ref        the backend ref
//   startedat  RFC 3339 with nanoseconds
//   updatedat  likewise, refreshed when a writer closes
//   total      decimal, only if known
// The folder is there with all but `data`, or not at all: while it is made or removed it has
// another name, which begins with a dot.
class IngestDir {
 public:
  IngestDir(const std::filesystem::path& ingests, const std::string& ref);
  explicit IngestDir(std::filesystem::path folder) : folder_(std::move(folder)) {}

  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path data() const { return folder_ / "data"; }

  struct Description {
    std::string ref;
    absl::Time started_at;
    absl::Time updated_at;
    int64_t total = 0;
  };

  // Nothing if the folder or one of its files is missing or does not parse. An error says nothing
  // of them: they may be read the next time.
  absl::StatusOr<std::optional<Description>> Read() const;
  // Makes the folder and its files in place of whatever was there.
  absl::Status Create(const Description& description) const;
  // Notes the time and forces all files and their names to disk, the data first; the folder's own
  // name is the caller's. What fails does not stop the rest.
  absl::Status Keep(absl::Time updated_at) const;
  absl::Status Remove() const;

  // Removes what a crash left half made or half removed, and folders that nobody can resume because
  // their files are missing or make no sense. What cannot be read for now, or not be removed,
  // stays. Only while nobody writes.
  static absl::Status RemoveUnusable(const std::filesystem::path& ingests);
  static constexpr char kAsideMark = '.';  // what such names begin with

 private:
  std::filesystem::path Aside() const;
  // Whether somebody who knows the ref can go on with it.
  absl::StatusOr<bool> Usable() const;
  // A missing one is no error.
  absl::Status SyncFile(const char* name) const;
  absl::Status WriteSmall(const char* name, std::string_view text) const;
  std::filesystem::path folder_;
};

}  // namespace gantry::content
