// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

#include "shim/io/copy_buffer.h"
#include "shim/io/stream_table.h"
#include "shim/loop/loop.h"
#include "shim/process/children.h"

namespace gantry::shim {

// What the streams of all processes of a shim share. Outlives them.
struct IoContext {
  IoContext(Loop& the_loop, Children& the_children)
      : loop(the_loop), children(the_children), buffer(the_loop) {}

  Loop& loop;
  Children& children;
  CopyBuffer buffer;
  StreamTable streams;
  Clock::duration logger_patience = std::chrono::seconds(12);  // between SIGTERM and SIGKILL
};

}  // namespace gantry::shim
