// SPDX-License-Identifier: Apache-2.0
#include "core/content/ingest_dir.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

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

std::optional<IngestDir::Description> IngestDir::Read() const {
  const auto ref = kernel::ReadFile((folder_ / "ref").string(), kMaxSmallFile);
  const auto started = kernel::ReadFile((folder_ / "startedat").string(), kMaxSmallFile);
  const auto updated = kernel::ReadFile((folder_ / "updatedat").string(), kMaxSmallFile);
  if (!ref || !started || !updated) return std::nullopt;
  const auto started_at = ParseTime(*started);
  const auto updated_at = ParseTime(*updated);
  if (!started_at || !updated_at) return std::nullopt;
  Description description{.ref = *ref, .started_at = *started_at, .updated_at = *updated_at};
  if (const auto total = kernel::ReadFile((folder_ / "total").string(), kMaxSmallFile);
      total.ok()) {
    if (!absl::SimpleAtoi(*total, &description.total)) return std::nullopt;
  } else if (total.error().err != ENOENT) {
    return std::nullopt;
  }
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

absl::Status IngestDir::SetUpdated(absl::Time updated_at) const {
  // In place of one that is on disk already.
  return ToStatus(kernel::WriteFileAtomic((folder_ / "updatedat").string(), TimeText(updated_at),
                                          kFileMode, kernel::Durability::kFile));
}

absl::Status IngestDir::Sync() const {
  for (const char* name : {"ref", "startedat", "updatedat", "total", "data"}) {
    const auto file = kernel::Open((folder_ / name).string(), O_RDONLY | O_CLOEXEC);
    if (!file && file.error().err == ENOENT) continue;  // A total that is not known.
    if (!file) return ToStatus(file.error());
    if (::fsync(file->get()) != 0) return FromErrno(errno, fmt::format("flush {} of ingest", name));
  }
  return ToStatus(kernel::SyncDirectory(folder_.string()));
}

absl::Status IngestDir::Remove() const {
  const std::filesystem::path doomed = Aside();
  RETURN_IF_ERROR(ToStatus(kernel::RemoveTree(doomed.string())));
  const absl::Status renamed = Rename(folder_, doomed);
  if (absl::IsNotFound(renamed)) return absl::OkStatus();
  RETURN_IF_ERROR(renamed);
  return ToStatus(kernel::RemoveTree(doomed.string()));
}

bool IngestDir::Usable() const {
  const std::optional<Description> description = Read();
  return description && Digest::Of(description->ref).hex() == folder_.filename();
}

absl::Status IngestDir::RemoveUnusable(const std::filesystem::path& ingests) {
  return ForEachEntry(ingests, [](const std::filesystem::directory_entry& entry) {
    const std::string name = entry.path().filename();
    const bool aside = name.starts_with(kAsideMark);
    if (!aside) {
      if (!Digest::Parse("sha256:" + name).ok()) return absl::OkStatus();  // Not ours.
      if (IngestDir(entry.path()).Usable()) return absl::OkStatus();
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
