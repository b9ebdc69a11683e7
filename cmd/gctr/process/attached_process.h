// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cmd/gctr/process/background_calls.h"
#include "cmd/gctr/process/process_io.h"
#include "cmd/gctr/process/signal_source.h"
#include "cmd/gctr/process/task_process.h"
#include "cmd/gctr/process/terminal.h"
#include "core/kernel/unique_fd.h"

namespace gantry::gctr {

// gctr in the place of a process: its streams, terminal and signals are the process's, until that
// ends.
//
//   ASSIGN_OR_RETURN(auto attached, AttachedProcess::Begin(process, signals, io.terminal()));
//   ASSIGN_OR_RETURN(uint32_t pid, process.Start());
//   return attached->Run(io);
class AttachedProcess {
 public:
  // Takes over the terminal and begins to wait, so that no exit is missed. All arguments outlive
  // the object.
  static absl::StatusOr<std::unique_ptr<AttachedProcess>> Begin(TaskProcess& process,
                                                                SignalSource& signals,
                                                                bool terminal);
  ~AttachedProcess();

  // Copies streams and passes on signals and sizes until the process has ended and its output was
  // copied. The exit status.
  absl::StatusOr<uint32_t> Run(ProcessIo& io);

 private:
  AttachedProcess(TaskProcess& process, SignalSource& signals, kernel::UniqueFd resized)
      : process_(process),
        signals_(signals),
        resized_(std::move(resized)),
        calls_(process.client()) {}

  void PassSignals();
  // One size at a time is under way, so that the last one is the one that stays.
  void PassSize();
  void FinishResize();

  TaskProcess& process_;
  SignalSource& signals_;
  std::optional<RawTerminal> terminal_;
  kernel::UniqueFd resized_;  // an eventfd, readable once the size under way was answered
  bool resizing_ = false;
  bool size_changed_ = false;        // meanwhile
  std::unique_ptr<ExitWatch> exit_;  // which calls_ may still write to
  BackgroundCalls calls_;
};

}  // namespace gantry::gctr
