// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/kernel/result.h"
#include "core/kernel/unique_fd.h"

namespace gantry::kernel {

struct LoopOptions {
  bool read_only = false;
  bool direct_io = false;
  bool autoclear = true;  // the device lets go of its file once nobody has it open or mounted
};

// A loop device with a file attached. With autoclear, keep `fd` until the device is mounted.
struct LoopDevice {
  UniqueFd fd;
  std::string path;  // "/dev/loop7"
};

// Attaches `file` to a free device, made if there is none. loop(4), LOOP_CONFIGURE.
Result<LoopDevice> AttachLoop(const std::string& file, const LoopOptions& options);

// Changes whether the device that `loop` is open on lets go of its file by itself.
Result<void> SetAutoclear(int loop, bool autoclear);

// Detaches the file from `device`; while it is in use, as soon as it no longer is. Success when it
// is attached to nothing.
Result<void> DetachLoop(const std::string& device);

}  // namespace gantry::kernel
