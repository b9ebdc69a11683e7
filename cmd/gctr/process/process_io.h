// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cmd/gctr/process/fifo_set.h"
#include "cmd/gctr/process/signal_source.h"
#include "cmd/gctr/process/stream_copier.h"
#include "cmd/gctr/process/terminal.h"
#include "proto/services/tasks/v1/tasks.pb.h"

namespace gantry::gctr {

// Where a process's standard streams go.
struct IoSettings {
  bool terminal = false;
  bool null = false;     // nowhere
  std::string log_uri;   // to a log: a URI that the shim understands
  std::string fifo_dir;  // for the pipes; empty: the default
};

// InvalidArgument for settings that exclude each other.
absl::Status CheckIoSettings(const IoSettings& settings);

// A process's standard streams on their way to and from gctr's own.
class ProcessIo {
 public:
  // Pipes for a process that is to be made; `id` names them.
  static absl::StatusOr<ProcessIo> Make(const IoSettings& settings, const std::string& id);
  // The pipes of a process that runs.
  static absl::StatusOr<ProcessIo> Attach(const containerd::v1::types::Process& process);

  // For the request that makes the process.
  const std::string& in() const { return fifos_ ? fifos_->in() : nothing_; }
  const std::string& out() const { return fifos_ ? fifos_->out() : log_uri_; }
  const std::string& err() const { return fifos_ ? fifos_->err() : log_uri_; }
  bool terminal() const { return terminal_; }

  // Begins to copy output; errors of a terminal come with its output.
  absl::Status StartOutput();
  // Begins to copy input, once the process has started. `at_end`, called on another thread, is to
  // pass its end on to the process.
  absl::Status StartInput(std::function<void()> at_end, const RawTerminal* terminal);
  void StopInput();
  // Waits until all output has been copied, or a signal asks gctr to end: a process that is left
  // over may hold the streams for ever. Other signals have nobody left to go to.
  void FinishOutput(SignalSource& signals);
  // Leaves the pipes to whoever attaches later.
  void Keep();

 private:
  std::optional<FifoSet> fifos_;
  std::string log_uri_;
  std::string nothing_;
  bool terminal_ = false;
  StreamCopier input_;
  StreamCopier output_;
  StreamCopier errors_;
};

}  // namespace gantry::gctr
