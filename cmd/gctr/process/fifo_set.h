// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/kernel/unique_fd.h"

namespace gantry::gctr {

inline constexpr std::string_view kDefaultFifoDirectory = "/run/gantry/fifo";

// Named pipes for a process's standard streams, in a directory of their own: the shim opens the
// other ends by path.
//
// Ownership: pipes and directory are removed at the end, unless kept.
class [[nodiscard]] FifoSet {
 public:
  // Makes the directory below `root`, and pipes "<id>-stdin" and so on; without one for errors with
  // `terminal`. All ends that gctr uses are open afterwards, so that the shim's opens do not block.
  static absl::StatusOr<FifoSet> Make(const std::string& root, const std::string& id,
                                      bool terminal);
  // Opens pipes that exist, of a process that runs. Empty paths stand for no pipe.
  static absl::StatusOr<FifoSet> Attach(std::string in, std::string out, std::string err);

  FifoSet(FifoSet&& other) noexcept = default;
  FifoSet& operator=(FifoSet&&) = delete;
  ~FifoSet();

  const std::string& in() const { return in_; }
  const std::string& out() const { return out_; }
  const std::string& err() const { return err_; }

  // Non-blocking ends for reading, empty where there is no pipe.
  kernel::UniqueFd TakeOut() { return std::move(out_fd_); }
  kernel::UniqueFd TakeErr() { return std::move(err_fd_); }

  // A non-blocking end for writing; empty when the process does not read its input, or has ended.
  // Called once the process has started.
  kernel::UniqueFd OpenIn();

  // Leaves the pipes to whoever attaches later.
  void Keep() { directory_.clear(); }

 private:
  FifoSet() = default;
  absl::Status OpenReaders();

  std::string directory_;  // empty: not ours
  std::string in_;
  std::string out_;
  std::string err_;
  kernel::UniqueFd held_in_;  // both ways, so that a reader finds a pipe without an end
  kernel::UniqueFd out_fd_;
  kernel::UniqueFd err_fd_;
};

// Removes pipes that a detached process left, and their directory once it is empty.
void RemoveFifos(const std::string& in, const std::string& out, const std::string& err);

}  // namespace gantry::gctr
