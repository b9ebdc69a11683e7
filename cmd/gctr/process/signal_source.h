// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <thread>

#include "absl/status/statusor.h"
#include "core/kernel/unique_fd.h"

namespace gantry::gctr {

// The signals that a container's process should get in place of gctr. Made before the connection,
// so that every thread leaves them alone.
//
// Until Take() they do what they always do. Afterwards they wait to be read.
class [[nodiscard]] SignalSource {
 public:
  static absl::StatusOr<SignalSource> Make();

  SignalSource(SignalSource&&) noexcept = default;
  SignalSource& operator=(SignalSource&&) = delete;
  ~SignalSource();

  void Take();

  int fd() const { return signals_.get(); }  // readable when a signal waits
  std::optional<int> Next();                 // nothing when none waits

 private:
  SignalSource() = default;

  kernel::UniqueFd signals_;
  kernel::UniqueFd taken_;  // an eventfd
  std::jthread watcher_;
};

}  // namespace gantry::gctr
