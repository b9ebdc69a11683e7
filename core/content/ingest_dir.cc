// SPDX-License-Identifier: Apache-2.0
#include "core/content/ingest_dir.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <map>
#include <string_view>

#include "absl/strings/numbers.h"
#include "core/base/directory.h"
#include "core/base/kernel_status.h"
#include "core/digest/digest.h"
#include "core/kernel/file.h"
#include "core/kernel/tree.h"
#include "core/log/log.h"

namespace gantry::content {
namespace {

constexpr size_t kMaxSmallFile = 64 << 10;  // refs are free text
constexpr mode_t kFileMode = 0644;
constexpr mode_t kFolderMode = 0755;

absl::Status Rename(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return absl::OkStatus();
  return FromErrno(errno, fmt::format("rename {}", from.string()));
}

// Whether a file may well be readable a moment later.
bool IsShortage(int err) { return err == EMFILE || err == ENFILE || err == ENOMEM || err == EINTR; }

std::string TimeText(absl::Time time) {
  return absl::FormatTime(absl::RFC3339_full, time, absl::LocalTimeZone());
}

std::optional<absl::Time> ParseTime(const std::string& text) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, &error)) return std::nullopt;
  return time;
}

}  // namespace

IngestDir::IngestDir(const std::filesystem::path& ingests, const std::string& ref)
    : folder_(ingests / Digest::Of(ref).hex()) {}

absl::StatusOr<std::optional<IngestDir::Description>> IngestDir::Read() const {
  std::map<std::string, std::string> files;
  for (const char* name : {"ref", "startedat", "updatedat", "total"}) {
    auto text = kernel::ReadFile((folder_ / name).string(), kMaxSmallFile);
    if (text.ok()) {
      files.emplace(name, *std::move(text));
    } else if (IsShortage(text.error().err)) {
      return ToStatus(text.error());
    } else if (name != std::string_view("total") || text.error().err != ENOENT) {
      return std::nullopt;
    }
  }
  const auto started_at = ParseTime(files["startedat"]);
  const auto updated_at = ParseTime(files["updatedat"]);
  if (!started_at || !updated_at) return std::nullopt;
  Description description{
      .ref = files["ref"], .started_at = *started_at, .updated_at = *updated_at};
  const auto total = files.find("total");
  if (total != files.end() && !absl::SimpleAtoi(total->second, &description.total))
    return std::nullopt;
  return description;
}

absl::Status IngestDir::WriteSmall(const char* name, std::string_view text) const {
  return ToStatus(kernel::WriteFileAtomic((folder_ / name).string(), text, kFileMode,
                                          kernel::Durability::kNone));
}

std::filesystem::path IngestDir::Aside() const {
  return folder_.parent_path() / (kAsideMark + folder_.filename().string());
}

absl::Status IngestDir::Create(const Description& description) const {
  RETURN_IF_ERROR(Remove());
  const IngestDir made(Aside());
  RETURN_IF_ERROR(ToStatus(kernel::MakeDirectories(made.folder_.string(), kFolderMode)));
  RETURN_IF_ERROR(made.WriteSmall("ref", description.ref));
  RETURN_IF_ERROR(made.WriteSmall("startedat", TimeText(description.started_at)));
  RETURN_IF_ERROR(made.WriteSmall("updatedat", TimeText(description.updated_at)));
  if (description.total > 0)
    RETURN_IF_ERROR(made.WriteSmall("total", std::to_string(description.total)));
  return Rename(made.folder_, folder_);
}

absl::Status IngestDir::SyncFile(const char* name) const {
  const auto file = kernel::Open((folder_ / name).string(), O_RDONLY | O_CLOEXEC);
  if (!file && file.error().err == ENOENT) return absl::OkStatus();
  if (!file) return ToStatus(file.error());
  if (::fsync(file->get()) != 0) return FromErrno(errno, fmt::format("flush {} of ingest", name));
  return absl::OkStatus();
}

absl::Status IngestDir::Keep(absl::Time updated_at) const {
  // Before anything that needs room on a disk that may be full.
  absl::Status kept = SyncFile("data");
  // In place of one that is on disk already.
  kept.Update(
      ToStatus(kernel::WriteFileAtomic((folder_ / "updatedat").string(), TimeText(updated_at),
                                       kFileMode, kernel::Durability::kFile)));
  for (const char* name : {"ref", "startedat", "updatedat", "total"}) kept.Update(SyncFile(name));
  kept.Update(ToStatus(kernel::SyncDirectory(folder_.string())));
  return kept;
}

absl::Status IngestDir::Remove() const {
  const std::filesystem::path doomed = Aside();
  RETURN_IF_ERROR(ToStatus(kernel::RemoveTree(doomed.string())));
  const absl::Status renamed = Rename(folder_, doomed);
  if (absl::IsNotFound(renamed)) return absl::OkStatus();
  RETURN_IF_ERROR(renamed);
  return ToStatus(kernel::RemoveTree(doomed.string()));
}

absl::StatusOr<bool> IngestDir::Usable() const {
  ASSIGN_OR_RETURN(const std::optional<Description> description, Read());
  return description && Digest::Of(description->ref).hex() == folder_.filename();
}

absl::Status IngestDir::RemoveUnusable(const std::filesystem::path& ingests) {
  return ForEachEntry(ingests, [](const std::filesystem::directory_entry& entry) {
    const std::string name = entry.path().filename();
    const bool aside = name.starts_with(kAsideMark);
    if (!aside) {
      if (!Digest::Parse("sha256:" + name).ok()) return absl::OkStatus();  // Not ours.
      const absl::StatusOr<bool> usable = IngestDir(entry.path()).Usable();
      if (!usable.ok()) {
        log::Warn("an ingest cannot be read for now",
                  {{"path", entry.path().string()}, {"error", usable.status()}});
      }
      if (usable.value_or(true)) return absl::OkStatus();
    }
    const absl::Status removed = ToStatus(kernel::RemoveTree(entry.path().string()));
    if (!removed.ok()) {
      log::Warn("cannot remove an ingest that cannot be read",
                {{"path", entry.path().string()}, {"error", removed}});
    } else if (!aside) {
      log::Warn("removed an ingest that could not be read", {{"path", entry.path().string()}});
    }
    return absl::OkStatus();
  });
}

}  // namespace gantry::content
