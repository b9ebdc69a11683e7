// SPDX-License-Identifier: Apache-2.0
#include "core/content/ingest_dir.h"

#include <cerrno>
#include <cstdio>

#include "absl/strings/numbers.h"
#include "core/base/directory.h"
#include "core/base/kernel_status.h"
#include "core/digest/digest.h"
#include "core/kernel/file.h"
#include "core/kernel/tree.h"

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
  return WriteSmall("updatedat", TimeText(updated_at));
}

absl::Status IngestDir::Remove() const {
  const std::filesystem::path doomed = Aside();
  RETURN_IF_ERROR(ToStatus(kernel::RemoveTree(doomed.string())));
  const absl::Status renamed = Rename(folder_, doomed);
  if (absl::IsNotFound(renamed)) return absl::OkStatus();
  RETURN_IF_ERROR(renamed);
  return ToStatus(kernel::RemoveTree(doomed.string()));
}

absl::Status IngestDir::RemoveAside(const std::filesystem::path& ingests) {
  return ForEachEntry(ingests, [](const std::filesystem::directory_entry& entry) {
    if (!entry.path().filename().string().starts_with(kAsideMark)) return absl::OkStatus();
    return ToStatus(kernel::RemoveTree(entry.path().string()));
  });
}

}  // namespace gantry::content
