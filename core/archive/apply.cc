// SPDX-License-Identifier: Apache-2.0
#include "core/archive/apply.h"

#include <sched.h>
#include <sys/stat.h>

#include <string>
#include <thread>
#include <utility>

#include "core/archive/attributes.h"
#include "core/archive/entry_maker.h"
#include "core/archive/layer_marks.h"
#include "core/archive/layer_tree.h"
#include "core/archive/names.h"
#include "core/archive/tar_header.h"
#include "core/archive/tar_reader.h"
#include "core/base/status.h"

namespace gantry::archive {
namespace {

class Applier {
 public:
  Applier(const Context& ctx, BlockReader& tar, int root, const ApplyOptions& options,
          LowerDirs lower)
      : ctx_(ctx),
        options_(options),
        archive_(tar, options.limits),
        setter_(options.in_user_namespace, result_.warnings),
        tree_(root,
              {.overlay = Overlay(),
               .opaque_xattr = options.opaque_xattr,
               .max_remembered_bytes = options.limits.max_remembered_bytes},
              std::move(lower), setter_),
        maker_(ctx, tree_, setter_, Overlay()) {}

  absl::StatusOr<ApplyResult> Run() {
    Entry entry;
    for (;;) {
      RETURN_IF_ERROR(ctx_.Check());
      ASSIGN_OR_RETURN(const bool more, archive_.Next(entry));
      if (!more) break;
      ++result_.entries;
      result_.content_bytes += entry.size;
      RETURN_IF_ERROR(ApplyEntry(entry));
    }
    RETURN_IF_ERROR(archive_.Drain());
    RETURN_IF_ERROR(tree_.SetTimesNow());
    result_.implicit_directories = tree_.implicit_directories();
    return std::move(result_);
  }

 private:
  bool Overlay() const { return options_.whiteouts == WhiteoutMode::kOverlay; }

  absl::Status ApplyEntry(const Entry& entry) {
    const bool device =
        entry.type == EntryType::kCharDevice || entry.type == EntryType::kBlockDevice;
    if (device && options_.in_user_namespace) {
      setter_.Warn("device skipped in a user namespace", entry.name, "");
      return absl::OkStatus();
    }
    const std::string path = CleanName(entry.name);
    // The root's owner and mode are the snapshotter's business.
    if (path.empty()) return absl::OkStatus();
    const SplitPath split = Split(path);
    ASSIGN_OR_RETURN(const DirectoryRef parent, tree_.MakeDirectory(split.parent));
    switch (WhiteoutOf(split.base)) {
      case Whiteout::kInvalid:
        return InvalidArgument("{:?}: invalid whiteout name: invalid archive", entry.name);
      case Whiteout::kOpaque:
        return Overlay() ? tree_.MarkOpaque(parent->fd.get(), split.parent) : Clear(*parent);
      case Whiteout::kRemove:
        return Remove(*parent, std::string(WhiteoutTarget(split.base)), entry);
      case Whiteout::kNone:
        break;
    }
    if (entry.type_flag == kFlagGnuSparse) {
      return InvalidArgument("{:?}: old GNU sparse entries are not supported", entry.name);
    }
    RETURN_IF_ERROR(maker_.Make(entry, path, parent->fd.get(), archive_));
    if (!Overlay()) marks_.Add(parent->inode, split.base);
    return absl::OkStatus();
  }

  absl::Status Clear(const OpenDirectory& directory) {
    RETURN_IF_ERROR(marks_.ClearOthers(directory));
    tree_.ForgetDirectories();
    return absl::OkStatus();
  }

  absl::Status Remove(const OpenDirectory& parent, const std::string& base, const Entry& entry) {
    if (Overlay()) return maker_.MakeOverlayWhiteout(parent.fd.get(), base, entry);
    return tree_.Remove(parent.fd.get(), base).status();
  }

  const Context& ctx_;
  const ApplyOptions& options_;
  ApplyResult result_;
  TarReader archive_;
  AttributeSetter setter_;
  LayerTree tree_;
  EntryMaker maker_;
  LayerMarks marks_;  // kept for deletion alone
};

}  // namespace

absl::StatusOr<ApplyResult> Apply(const Context& ctx, BlockReader& tar, int root,
                                  const ApplyOptions& options) {
  ASSIGN_OR_RETURN(LowerDirs lower, LowerDirs::Open(options.lower_dirs, options.opaque_xattr));
  absl::StatusOr<ApplyResult> result = Internal("apply did not run");
  std::jthread([&] {
    // Modes are compared and corrected in any case; without a umask they are right at once.
    if (::unshare(CLONE_FS) == 0) ::umask(0);
    result = Applier(ctx, tar, root, options, std::move(lower)).Run();
  }).join();
  return result;
}

}  // namespace gantry::archive
