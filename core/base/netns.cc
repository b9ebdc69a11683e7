// SPDX-License-Identifier: Apache-2.0
#include "core/base/netns.h"

#include <sched.h>

#include <cerrno>
#include <thread>

#include "core/base/status.h"

namespace gantry::base {

absl::Status RunInNetns(int netns, absl::FunctionRef<absl::Status()> body) {
  absl::Status result;
  std::jthread([&] {
    result = ::setns(netns, CLONE_NEWNET) == 0 ? body() : FromErrno(errno, "enter netns");
  }).join();
  return result;
}

}  // namespace gantry::base
