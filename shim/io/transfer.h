// SPDX-License-Identifier: Apache-2.0
// How bytes get from one fd to another.
#pragma once

#include <cstddef>
#include <string>

#include "shim/io/copy_buffer.h"
#include "shim/io/endpoint.h"

namespace gantry::shim {

// Moves what is there, without waiting. Pages of pipes are handed on where that is cheaper than
// copying, which for small pieces it is not: each would fill a place of the target's sixteen.
// What cannot be written for another reason than lack of room is dropped: a full disk costs log
// lines, it does not stop a container.
//
// Owns neither end; both fds must be non-blocking, but for files.
class Transfer {
 public:
  // At most that much in one call, so that no stream keeps the loop from others.
  static constexpr size_t kTurnBytes = 256UL << 10;

  enum class Next {
    kSource,      // nothing is there
    kTarget,      // the target is full
    kAgain,       // there is more, but the turn is over
    kEnd,         // the source has ended and all is written
    kTargetGone,  // nobody will ever read what is written
  };

  Transfer(CopyBuffer& buffer, const Endpoint& source, const Endpoint& target);

  Next Move();

  // What comes from now on is dropped.
  void DropTarget();

  // Nobody writes to the source any more: when nothing is there it has ended.
  void SourceIsDone() { source_done_ = true; }

 private:
  struct Step;
  Step MoveOnce(size_t limit);
  Step Splice(size_t limit);
  Step Copy(size_t waiting);
  Step AfterRead(ssize_t count, size_t asked);
  bool MustWaitForTarget() const;
  bool Write(const char* data, size_t size);
  bool WritePending();

  CopyBuffer& buffer_;
  const int source_;
  const EndKind source_kind_;
  const int target_;
  LogStream* const log_;
  EndKind target_kind_;
  bool source_done_ = false;
  bool can_splice_ = true;
  bool target_gone_ = false;
  std::string pending_;  // read, but not yet written: a full target took a part of it
};

}  // namespace gantry::shim
