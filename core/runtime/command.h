// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "core/base/status.h"
#include "core/kernel/subprocess.h"
#include "core/runtime/loop.h"

namespace gantry::runtime {

struct Command {
  kernel::SpawnOptions spawn;  // its stdio is replaced
  std::string input;
  bool merge_errors = false;  // standard error goes into `output` as well
  absl::Duration budget = absl::Seconds(30);
  size_t max_output_bytes = 10UL << 20;  // of each stream
};

struct CommandOutput {
  kernel::ExitStatus status;
  std::string output;
  std::string errors;
};

using CommandDone = absl::AnyInvocable<void(absl::StatusOr<CommandOutput>)>;

// Runs a program in a session of its own and calls `done` once it has ended, with what it wrote
// until then; streams that its children hold open are not waited for. Spawning takes place before
// the call returns and blocks until exec; should it fail, `done` is called right then, otherwise on
// the loop's thread.
//
// Errors: that of the spawn (NotFound for a missing program); DeadlineExceeded when the budget is
// used up and ResourceExhausted for too much output, after the whole session's process group has
// been killed. An exit status other than 0 is no error.
void RunCommand(Loop& loop, Command command, CommandDone done);

}  // namespace gantry::runtime
