// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "core/archive/attributes.h"
#include "core/archive/entry.h"
#include "core/archive/layer_tree.h"
#include "core/archive/tar_reader.h"
#include "core/base/context.h"

namespace gantry::archive {

// Makes what an entry describes, in place of whatever has its name. Only a directory over a
// directory is kept, and gets the new attributes.
class EntryMaker {
 public:
  // All references outlive the maker.
  EntryMaker(const Context& ctx, LayerTree& tree, AttributeSetter& setter, bool overlay)
      : ctx_(ctx), tree_(tree), setter_(setter), overlay_(overlay) {}

  // `path` is the entry's clean name, `parent` the open directory of its last component. The
  // content is read from `archive`, which stands at the entry.
  absl::Status Make(const Entry& entry, const std::string& path, int parent, TarReader& archive);

  // Overlay's whiteout in place of `base`, with an owner as the archive has it.
  absl::Status MakeOverlayWhiteout(int parent, const std::string& base, const Entry& entry);

 private:
  // Where an entry goes.
  struct Place {
    const std::string& path;
    int parent = -1;
    std::string base;
  };

  absl::Status MakeFile(const Entry& entry, const Place& place, const Attributes& attributes,
                        TarReader& archive);
  absl::Status MakeDirectory(const Place& place, const Attributes& attributes);
  absl::Status MakeSymlink(const Entry& entry, const Place& place, const Attributes& attributes);
  absl::Status MakeNode(const Entry& entry, const Place& place, const Attributes& attributes);
  absl::Status MakeHardLink(const Entry& entry, const Place& place, const Attributes& attributes);

  // Runs `make`, a system call that answers 0 or sets errno, and once more after removing what is
  // in its way.
  absl::Status Replacing(const Place& place, std::string_view act, absl::FunctionRef<int()> make);
  // The target of a hard link, which an overlay's lower directories may have to lend.
  absl::StatusOr<DirectoryRef> FindLinkTarget(const std::string& target, struct stat& info);
  absl::Status CopyUp(const std::string& path);

  const Context& ctx_;
  LayerTree& tree_;
  AttributeSetter& setter_;
  const bool overlay_;
};

}  // namespace gantry::archive
