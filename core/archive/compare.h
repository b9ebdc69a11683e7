// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "core/base/context.h"
#include "core/base/stream.h"

namespace gantry::archive {

struct CompareOptions {
  // Seconds since 1970; later modification times are lowered to it. Whiteouts always have 1970.
  std::optional<int64_t> source_date_epoch = {};
};

// Writes the layer that turns the tree `left` into the tree `right`: OCI image-spec 1.1, layer.md.
// Both are open directories; a negative `left` stands for an empty tree. Equal trees and options
// give equal bytes, which are those that containerd's walking differ writes.
//
// An entry differs when its type, mode, owner, device number, file capability, size, time or link
// target does; where both times are whole seconds, and so may have been cut, the contents decide.
// Parents of what differs are part of the layer, the root and sockets never are. Of extended
// attributes only security.capability is.
//
// Errors: Aborted when a tree changes under the walk; InvalidArgument for what tar cannot hold;
// ResourceExhausted for nesting beyond 1024 directories; errors of the sink.
absl::Status WriteDiff(const Context& ctx, int left, int right, Writer& sink,
                       const CompareOptions& options = {});

// The same from an overlay's upper directory, without a walk through the lower ones: `left` is the
// lower directories' merged view. Gives the bytes that WriteDiff() gives for the merged views.
// `xattr_prefix` is "trusted.overlay." or, for mounts with userxattr, "user.overlay.".
//
// Errors: FailedPrecondition, perhaps after part of the output, when the directory holds marks that
// only the kernel can resolve (redirects, metadata copies): use WriteDiff() then.
absl::Status WriteUpperDiff(const Context& ctx, int left, int upper,
                            const std::string& xattr_prefix, Writer& sink,
                            const CompareOptions& options = {});

}  // namespace gantry::archive
