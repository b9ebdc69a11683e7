// SPDX-License-Identifier: Apache-2.0
#include "cmd/gantryd/root_check.h"

#include <filesystem>
#include <memory>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/content/foreign_blobs.h"
#include "core/metadata/metadata.h"
#include "core/metadata/root.h"
#include "core/snapshots/local_recovery.h"

namespace gantry {
namespace {

absl::Status CheckAgainst(const metadata::Metadata* metadata, const std::filesystem::path& root) {
  RETURN_IF_ERROR(content::CheckForeignBlobs(metadata, root));
  return snapshots::CheckForeignSnapshots(metadata, root);
}

}  // namespace

absl::Status CheckForeignRoot(const config::Config& config) {
  RETURN_IF_ERROR(metadata::CheckForeignDatabase(config.root));
  return metadata::HasDatabase(config.root) ? absl::OkStatus() : CheckAgainst(nullptr, config.root);
}

absl::Status CheckKnownRoot(config::Config& config) {
  if (!metadata::HasDatabase(config.root)) return absl::OkStatus();
  const base::SystemClock clock;
  const auto metadata = metadata::OpenAt(
      config.root, config.Plugin(fmt::format("{}.bolt", metadata::kMetadata.uri)), clock);
  if (!metadata.ok()) return absl::OkStatus();
  return CheckAgainst(metadata->get(), config.root);
}

}  // namespace gantry
