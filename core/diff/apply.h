// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/context.h"
#include "core/base/status.h"
#include "core/content/content_store.h"
#include "core/content/descriptor.h"
#include "core/mount/mount.h"

namespace gantry::diff {

struct ApplyOptions {
  bool sync_fs = false;  // force the unpacked files to disk before success
};

// Unpacks the layer that `layer` names into the mounts and tells what it is uncompressed: media
// type, size and digest (the diff ID). Blocks for as long as the layer takes; its memory does not
// depend on the layer's size.
//
// Errors: NotFound (no such blob in the namespace), Unimplemented (media type or mounts of another
// kind), InvalidArgument (hostile or malformed archive), DataLoss (damaged stream),
// ResourceExhausted.
absl::StatusOr<Descriptor> Apply(const Context& ctx, content::ContentStore& content,
                                 const Descriptor& layer, const mount::Mounts& mounts,
                                 const ApplyOptions& options);

}  // namespace gantry::diff
