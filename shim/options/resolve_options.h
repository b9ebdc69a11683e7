// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "core/kernel/result.h"
#include "shim/messages/types.h"
#include "shim/options/runc_options.h"

namespace gantry::shim {

using CheckpointOptions = messages::runc_v1::CheckpointOptions;

struct ResolvedOptions {
  RuncOptions options;
  std::string warning;  // of what was passed over; empty: nothing was
};

// The options that a client has sent for a container. Their type is one of
//
//   containerd.runc.v1.Options             taken as they are
//   runtimeoptions.v1.Options              TOML text (toml_lines.h) in config_body, or else in the
//                                          file config_path, of at most kMaxOptionsFileBytes; the
//                                          keys are the options' names in any case, with or without
//                                          '_'
//   containerd.linux.runc.CreateOptions    what has the same meaning is taken over
//
// whatever stands in front of its last '/'. Without options, and for options of another type, the
// result is the defaults, with a warning in the second case; unknown keys give a warning too.
// EINVAL: a message of a known type that is malformed, or a known key with a value that is none for
// it. Other errors: config_path cannot be read.
inline constexpr size_t kMaxOptionsFileBytes = 1UL << 20;
kernel::Result<ResolvedOptions> ResolveOptions(const std::optional<messages::Any>& sent);

// The options of a checkpoint, of type containerd.runc.v1.CheckpointOptions; the defaults when none
// were sent. EINVAL for another type and for a malformed message.
kernel::Result<CheckpointOptions> ResolveCheckpointOptions(
    const std::optional<messages::Any>& sent);

}  // namespace gantry::shim
