// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace gantry::debug {

struct ThreadStack {
  int tid = 0;
  std::string name;
  char state = '?';                 // as /proc has it: R, S, D, …
  std::string kernel_wait;          // the kernel function it sleeps in; empty if unknown
  std::vector<std::string> frames;  // innermost first; empty if the thread did not answer
};

// Asks every thread of this process what it is doing.
//
// Lifetime: outlives every thread that it ever asked, for one that did not answer may do so later.
// Threads:  one call at a time.
class StackCapture {
 public:
  StackCapture();
  ~StackCapture();
  StackCapture(const StackCapture&) = delete;
  StackCapture& operator=(const StackCapture&) = delete;

  // The caller first. Interrupts each thread with a signal: system calls that do not restart end
  // with EINTR. A thread that does not answer within `patience`, asleep in the kernel or with
  // signals blocked, is listed without frames.
  std::vector<ThreadStack> Capture(absl::Duration patience = absl::Milliseconds(200));

 private:
  struct Slot;
  std::vector<std::string> FramesOf(int tid, absl::Duration patience);

  std::vector<std::unique_ptr<Slot>> late_;  // asked, not answered
};

// Text for a log file, one paragraph a thread.
std::string Render(const std::vector<ThreadStack>& stacks);

}  // namespace gantry::debug
