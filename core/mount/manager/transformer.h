// SPDX-License-Identifier: Apache-2.0
// What a prefix of a mount's type asks for: a change of the mount, or a preparation that needs no
// record to be undone.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "core/base/context.h"
#include "core/mount/manager/activation.h"
#include "core/mount/manager/allowed_roots.h"

namespace gantry::mount {

// Threads: any.
class Transformer {
 public:
  virtual ~Transformer() = default;

  // `mount` with the options that were meant for the transformer taken away. Its type has lost the
  // prefix already. `earlier` are the mounts of the same activation made before.
  virtual absl::StatusOr<Mount> Transform(const Context& ctx, Mount mount,
                                          std::span<const ActiveMount> earlier) const = 0;
};

using Transformers = std::map<std::string, std::unique_ptr<Transformer>, std::less<>>;

// "format": fills in templates in source, target and options, see template.h.
std::unique_ptr<Transformer> MakeFormatTransformer();

// "mkdir": makes a directory for each option X-containerd.mkdir.path=<dir>[:<octal
// mode>[:<uid>:<gid>]] (0700 and our ids otherwise), parents with the same mode. One that exists
// must have the mode. Unimplemented outside of `roots`, which outlive the transformer.
std::unique_ptr<Transformer> MakeMkdirTransformer(const AllowedRoots& roots);

// "mkfs": makes the source file, with an empty file system in it, unless it exists. Options
// X-containerd.mkfs.size=<bytes, or with a suffix as in 64MB> (needed), .fs=ext2|ext3|ext4|xfs
// (ext4 otherwise) and .uuid. Unimplemented outside of `roots`, which outlive the transformer.
std::unique_ptr<Transformer> MakeMkfsTransformer(const AllowedRoots& roots);

// The three of them by their prefixes.
Transformers MakeTransformers(const AllowedRoots& roots);

}  // namespace gantry::mount
