// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shim/io/process_io.h"

namespace gantry::shim {

// Nothing is asked for: /dev/null three times.
class NullIo : public ProcessIo {
 public:
  std::array<kernel::Stdio, 3> RuntimeStdio() const override { return {}; }

 protected:
  Co<kernel::Result<void>> DoPrepare(Time /*deadline*/) override {
    co_return kernel::Result<void>();
  }
  Co<kernel::Result<void>> DoConnect(Time /*deadline*/) override {
    co_return kernel::Result<void>();
  }
  void Release() override {}
};

}  // namespace gantry::shim
