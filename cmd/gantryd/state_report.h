// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/mutex.h"
#include "core/debug/thread_stacks.h"
#include "core/plugin/graph.h"

namespace gantry {

// What an operator asks for when the daemon seems stuck. Takes no lock that a call could hold.
//
// Lifetime: outlives the threads that it tells of; `graph` is looked at once its plugins have
// started. Threads: all methods from any thread.
class StateReport {
 public:
  explicit StateReport(const plugin::Graph* graph) : graph_(*graph) {}

  std::string Vars();    // JSON: version, uptime, memory, plugins
  std::string State();   // text: plugins that did not start, calls under way
  std::string Stacks();  // text: what every thread does

  // Writes State() and Stacks() to "gantryd.<pid>.stacks.log" in `folder` and answers its path.
  absl::StatusOr<std::filesystem::path> WriteTo(const std::filesystem::path& folder);

 private:
  const plugin::Graph& graph_;
  const absl::Time start_ = absl::Now();
  base::Mutex capturing_;  // stacks are captured one at a time
  debug::StackCapture capture_ ABSL_GUARDED_BY(capturing_);
};

}  // namespace gantry
