// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/escaping.h"
#include "core/archive/compare.h"
#include "core/base/status.h"
#include "core/compression/compression.h"
#include "core/compression/layer_media_type.h"
#include "core/content/ingest_writer.h"
#include "core/diff/diff_sink.h"
#include "core/diff/overlay_options.h"
#include "core/diff/walking_differ.h"
#include "core/kernel/file.h"
#include "core/log/log.h"

namespace gantry::diff {
namespace {

constexpr std::string_view kUncompressedLabel = "containerd.io/uncompressed";

absl::StatusOr<compression::Algorithm> AlgorithmFor(std::string_view media_type) {
  if (media_type == compression::kOciLayer) return compression::Algorithm::kNone;
  if (media_type == compression::kOciLayerGzip) return compression::Algorithm::kGzip;
  if (media_type == compression::kOciLayerZstd) return compression::Algorithm::kZstd;
  return Unimplemented("unsupported diff media type {:?}", media_type);
}

// One side of a comparison, open.
class Side {
 public:
  // An empty list is an empty tree.
  static absl::StatusOr<Side> Mount(const mount::TempMounts& temp_mounts,
                                    const mount::Mounts& mounts, bool read_only) {
    Side side;
    if (mounts.empty()) return side;
    ASSIGN_OR_RETURN(mount::ScopedTempMount temp,
                     read_only ? temp_mounts.MakeReadOnly(mounts) : temp_mounts.Make(mounts));
    side.temp_.emplace(std::move(temp));
    RETURN_IF_ERROR(side.OpenRoot(side.temp_->path()));
    return side;
  }
  static absl::StatusOr<Side> Directory(const std::string& path) {
    Side side;
    RETURN_IF_ERROR(side.OpenRoot(path));
    return side;
  }

  int root() const { return root_.get(); }  // negative: an empty tree

 private:
  Side() = default;
  absl::Status OpenRoot(const std::string& path) {
    auto root = kernel::Open(path, O_RDONLY | O_DIRECTORY);
    if (!root) return Internal("compare: {}", root.error().Text());
    root_ = std::move(*root);
    return absl::OkStatus();
  }

  std::optional<mount::ScopedTempMount> temp_;
  kernel::UniqueFd root_;  // goes before the mount that it would keep busy
};

// The upper directory of `right` when what lies below it is exactly `left`, and its entries can be
// taken as they stand.
std::optional<OverlayOptions> UpperOver(const mount::Mounts& left, const mount::Mounts& right) {
  if (left.size() != 1 || right.size() != 1 || !right.front().target.empty()) return std::nullopt;
  auto overlay = ParseOverlay(right.front());
  if (!overlay || overlay->upper.empty() || overlay->id_mapped) return std::nullopt;
  // With an index, a file may have names that the upper directory does not show.
  if (!overlay->index_off) return std::nullopt;
  const auto below = ShownDirectories(left.front());
  if (!below || *below != overlay->lower) return std::nullopt;
  return overlay;
}

// Writes the difference of two lists of mounts.
class Comparison {
 public:
  Comparison(const Context& ctx, const mount::TempMounts& temp_mounts, const mount::Mounts& left,
             const mount::Mounts& right, archive::CompareOptions options)
      : ctx_(ctx), temp_mounts_(temp_mounts), left_(left), right_(right), options_(options) {}

  absl::StatusOr<DiffSink::Result> Run(compression::Algorithm algorithm,
                                       content::IngestWriter& writer) {
    ASSIGN_OR_RETURN(const Side left, Side::Mount(temp_mounts_, left_, /*read_only=*/false));
    if (const auto overlay = UpperOver(left_, right_)) {
      auto result = WriteUpper(left, *overlay, algorithm, writer);
      if (!absl::IsFailedPrecondition(result.status())) return result;
      log::Debug("upper directory has marks of its own, comparing mounts instead",
                 {{"upper", overlay->upper}, {"error", result.status()}});
      RETURN_IF_ERROR(writer.Truncate());
    }
    ASSIGN_OR_RETURN(const Side right, Side::Mount(temp_mounts_, right_, /*read_only=*/true));
    DiffSink sink(ctx_, algorithm, writer);
    const absl::Status written =
        right.root() < 0 ? InvalidArgument("compare: no mounts on the right")
                         : archive::WriteDiff(ctx_, left.root(), right.root(), sink, options_);
    return sink.Finish(written);
  }

 private:
  absl::StatusOr<DiffSink::Result> WriteUpper(const Side& left, const OverlayOptions& overlay,
                                              compression::Algorithm algorithm,
                                              content::IngestWriter& writer) {
    ASSIGN_OR_RETURN(const Side upper, Side::Directory(overlay.upper));
    DiffSink sink(ctx_, algorithm, writer);
    const std::string prefix = overlay.user_xattr ? "user.overlay." : "trusted.overlay.";
    return sink.Finish(
        archive::WriteUpperDiff(ctx_, left.root(), upper.root(), prefix, sink, options_));
  }

  const Context& ctx_;
  const mount::TempMounts& temp_mounts_;
  const mount::Mounts& left_;
  const mount::Mounts& right_;
  const archive::CompareOptions options_;
};

std::string UniqueRef() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const std::string random = absl::WebSafeBase64Escape(kernel::RandomHex(3));
  return fmt::format("{}-{}", std::chrono::nanoseconds(now).count(), random.substr(0, 4));
}

archive::CompareOptions WalkOptions(const CompareOptions& options) {
  archive::CompareOptions walk;
  if (options.source_date_epoch)
    walk.source_date_epoch = absl::ToUnixSeconds(*options.source_date_epoch);
  return walk;
}

// Makes the ingest a blob. One that is there already is success, and gets the label that it lacks.
absl::StatusOr<content::Info> Commit(const Context& ctx, content::ContentStore& content,
                                     content::IngestWriter& writer, const Labels& labels) {
  const std::string digest = writer.Current().str();
  const auto committed = writer.Commit(ctx, 0, "", labels);
  if (!committed.ok() && !absl::IsAlreadyExists(committed.status())) return committed.status();
  ASSIGN_OR_RETURN(content::Info info, content.Get(ctx, digest));
  const auto uncompressed = labels.find(kUncompressedLabel);
  if (uncompressed == labels.end() || info.labels.contains(kUncompressedLabel)) return info;
  return content.Update(ctx, digest, {{uncompressed->first, uncompressed->second}},
                        {fmt::format("labels.{}", kUncompressedLabel)});
}

}  // namespace

absl::StatusOr<Descriptor> WalkingDiffer::Compare(const Context& ctx, const mount::Mounts& left,
                                                  const mount::Mounts& right,
                                                  const CompareOptions& options) {
  const std::string media_type =
      options.media_type.empty() ? std::string(compression::kOciLayerGzip) : options.media_type;
  ASSIGN_OR_RETURN(const compression::Algorithm algorithm, AlgorithmFor(media_type));
  ASSIGN_OR_RETURN(const mount::ScopedActivation on_left, Activate(ctx, left));
  ASSIGN_OR_RETURN(const mount::ScopedActivation on_right, Activate(ctx, right));
  const std::string ref = options.ref.empty() ? UniqueRef() : options.ref;
  ASSIGN_OR_RETURN(std::unique_ptr<content::IngestWriter> writer,
                   content_.OpenWriter(ctx, {.ref = ref}));
  const auto write = [&]() -> absl::StatusOr<content::Info> {
    if (!options.ref.empty()) RETURN_IF_ERROR(writer->Truncate());
    Comparison comparison(ctx, temp_mounts_, on_left.mounts(), on_right.mounts(),
                          WalkOptions(options));
    ASSIGN_OR_RETURN(const DiffSink::Result result, comparison.Run(algorithm, *writer));
    Labels labels = options.labels;
    if (algorithm != compression::Algorithm::kNone) {
      labels[std::string(kUncompressedLabel)] = result.diff_id.str();
    }
    return Commit(ctx, content_, *writer, labels);
  };
  const absl::StatusOr<content::Info> info = write();
  if (info.ok()) {
    return Descriptor{.media_type = media_type, .digest = info->digest.str(), .size = info->size};
  }
  // The caller's own ingest is left to the caller.
  if (options.ref.empty()) writer->Abandon();
  writer.reset();
  if (options.ref.empty()) {
    if (const absl::Status aborted = content_.Abort(ctx.Detached(), ref);
        !aborted.ok() && !absl::IsNotFound(aborted)) {
      log::Warn("ingest of a failed diff is left",
                {{"ns", ctx.ns}, {"ref", ref}, {"error", aborted}});
    }
  }
  return info.status();
}

}  // namespace gantry::diff
