// SPDX-License-Identifier: Apache-2.0
#include "core/diff/apply.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "core/archive/apply.h"
#include "core/base/kernel_status.h"
#include "core/compression/compression.h"
#include "core/compression/layer_media_type.h"
#include "core/diff/read_ahead.h"
#include "core/diff/target.h"
#include "core/digest/digest.h"
#include "core/kernel/file.h"
#include "core/log/log.h"

namespace gantry::diff {
namespace {

class BlobStream final : public Reader {
 public:
  explicit BlobStream(std::unique_ptr<content::BlobReader> blob) : blob_(std::move(blob)) {}

  absl::StatusOr<size_t> Read(std::span<char> buffer) override {
    ASSIGN_OR_RETURN(const size_t count, blob_->ReadAt(offset_, buffer));
    offset_ += static_cast<int64_t>(count);
    return count;
  }

 private:
  const std::unique_ptr<content::BlobReader> blob_;
  int64_t offset_ = 0;
};

// Hashes what passes; also looks whether the caller is still there.
class HashingReader final : public BlockReader {
 public:
  HashingReader(const Context& ctx, BlockReader& source) : ctx_(ctx), source_(source) {}

  absl::StatusOr<std::string_view> NextBlock() override {
    RETURN_IF_ERROR(ctx_.Check());
    ASSIGN_OR_RETURN(const std::string_view block, source_.NextBlock());
    hasher_.Update(block);
    return block;
  }

  const Hasher& hasher() const { return hasher_; }

 private:
  const Context& ctx_;
  BlockReader& source_;
  Hasher hasher_;
};

archive::ApplyOptions OptionsFor(const Target& target) {
  archive::ApplyOptions options{.lower_dirs = target.lower_dirs};
  if (target.overlay) options.whiteouts = archive::WhiteoutMode::kOverlay;
  if (target.user_xattr) options.opaque_xattr = archive::kUserOpaque;
  return options;
}

}  // namespace

absl::StatusOr<Descriptor> Apply(const Context& ctx, content::ContentStore& content,
                                 const Descriptor& layer, const mount::Mounts& mounts,
                                 const ApplyOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<content::BlobReader> blob, content.Open(ctx, layer.digest));
  if (!compression::LayerCompressionOf(layer.media_type)) {
    return Unimplemented("no way from media type {:?} to a tar archive", layer.media_type);
  }
  ASSIGN_OR_RETURN(const Target target, TargetOf(mounts));
  auto root = kernel::Open(target.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (!root) return ToStatus(root.error());
  ASSIGN_OR_RETURN(compression::Decompressed stream,
                   compression::Decompress(std::make_unique<BlobStream>(std::move(blob))));
  ReadAhead ahead(std::move(stream.reader));
  HashingReader tar(ctx, ahead);
  ASSIGN_OR_RETURN(const archive::ApplyResult result,
                   archive::Apply(ctx, tar, root->get(), OptionsFor(target)));
  for (const auto& [kind, warning] : result.warnings) {
    log::Warn("layer unpacked with a difference", {{"digest", layer.digest},
                                                   {"kind", kind},
                                                   {"count", warning.count},
                                                   {"first", warning.first}});
  }
  if (options.sync_fs && ::syncfs(root->get()) != 0) {
    return FromErrno(errno, fmt::format("sync {}", target.directory));
  }
  return Descriptor{.media_type = std::string(compression::kOciLayer),
                    .digest = tar.hasher().Current().str(),
                    .size = static_cast<int64_t>(tar.hasher().size_bytes())};
}

}  // namespace gantry::diff
