// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "core/kernel/result.h"
#include "shim/launch/flags.h"
#include "shim/messages/bootstrap.h"
#include "shim/messages/types.h"

namespace gantry::shim {

inline constexpr size_t kMaxStartInputBytes = 10UL << 20;

// What a daemon says to `start` on its standard input.
struct StartInput {
  // A daemon of today; otherwise one that may take nothing but a bare address for an answer.
  std::optional<messages::BootstrapParams> bootstrap;
  std::optional<messages::Any> options;  // of the runtime, undecoded
};

// Options of older daemons decode as parameters of today's too: what tells them apart is that the
// parameters repeat the id and the namespace of the flags. What is neither counts as nothing.
StartInput ParseStartInput(std::string_view input, const Flags& flags);

// All that stands on the fd up to its end; EFBIG beyond kMaxStartInputBytes.
kernel::Result<std::string> ReadInput(int fd);

}  // namespace gantry::shim
