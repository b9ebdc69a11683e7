// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <filesystem>
#include <optional>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "core/base/mutex.h"
#include "core/runtime/loop.h"
#include "core/runtime/program_file.h"

namespace gantry::runtime {

// Tells which shim programs are this project's own and can be started connected (server_launch.h).
// One that has our binary's name, behind all links, is asked once (-v), and its answer remembered
// for as long as the file is the same; no other program is run for this.
//
// Threads: all methods from any thread. The loop outlives all calls.
class OwnShims {
 public:
  using Told = absl::AnyInvocable<void(bool connectable)>;

  explicit OwnShims(Loop& loop) : loop_(loop) {}

  // What is known without asking. Looks at the file.
  std::optional<bool> Known(const std::filesystem::path& program);

  // Asks the program; `told` is called on the loop's thread, or at once when it cannot be run.
  // Where no answer came, it is false, and not remembered.
  void Ask(const std::filesystem::path& program, Told told);

 private:
  void Remember(const ProgramFile& file, bool connectable);

  Loop& loop_;
  base::Mutex mutex_;
  std::deque<std::pair<ProgramFile, bool>> answers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace gantry::runtime
