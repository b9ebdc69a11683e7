// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/result.h"

#include <cstring>

namespace gantry::kernel {

std::string Error::Text() const {
  const char* text = ::strerrordesc_np(err);
  return what + ": " + (text != nullptr ? text : "error " + std::to_string(err));
}

}  // namespace gantry::kernel
