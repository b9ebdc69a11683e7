// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "core/archive/layer_tree.h"

namespace gantry::archive {

// Remembers what a layer has put into its target, and clears the rest out of a directory that the
// layer declares opaque, at whatever point of the archive it does.
//
// An entry is known by its directory's inode number and its name. A number is used again only for
// a directory that this layer makes, all of whose content is the layer's.
class LayerMarks {
 public:
  void Add(uint64_t directory_inode, std::string_view base);
  bool Has(uint64_t directory_inode, std::string_view base) const;

  // Removes everything below `directory` but the layer's own entries and the directories on the way
  // to them.
  absl::Status ClearOthers(const OpenDirectory& directory);

 private:
  // One hash stands for both; a false match keeps a file that should go, and cannot be aimed for,
  // since the hash is seeded anew in each process.
  absl::flat_hash_set<uint64_t> entries_;
  absl::flat_hash_set<uint64_t> cleared_;  // inode numbers
};

}  // namespace gantry::archive
