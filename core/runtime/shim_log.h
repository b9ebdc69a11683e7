// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/log/log.h"
#include "core/runtime/loop.h"

namespace gantry::runtime {

// One line of a shim's log.
struct ShimLogLine {
  log::Level level = log::Level::kInfo;
  std::string message;
  std::string rest;  // further fields, as written
};

// Understands logfmt with `level` and `msg`; any other line is a message.
ShimLogLine ParseShimLogLine(std::string_view line);

// Copies what a shim writes into the fifo `log` of its bundle to our own log.
//
// The fifo is opened for reading and writing and never blocks: a shim that does not open it holds
// up nobody, and one that does finds a reader even while nothing is read.
//
// Ownership: copies until destroyed; what is in the fifo then is read once more.
// Threads:   made and destroyed on any thread but the loop's own; copies on the loop's.
class ShimLog {
 public:
  static absl::StatusOr<std::unique_ptr<ShimLog>> Open(Loop& loop,
                                                       const std::filesystem::path& fifo,
                                                       std::string ns, std::string id);
  ~ShimLog();
  ShimLog(const ShimLog&) = delete;
  ShimLog& operator=(const ShimLog&) = delete;

 private:
  class Copier;
  explicit ShimLog(Loop& loop, std::shared_ptr<Copier> copier)
      : loop_(loop), copier_(std::move(copier)) {}

  Loop& loop_;
  const std::shared_ptr<Copier> copier_;
};

}  // namespace gantry::runtime
