// SPDX-License-Identifier: Apache-2.0
#include "core/sandbox/controller.h"

#include <utility>

#include "core/platform/platform.h"

namespace gantry::sandbox {

Platform HostSandboxPlatform() {
  gantry::Platform host = HostPlatform();
  return {.os = std::move(host.os),
          .architecture = std::move(host.architecture),
          .variant = std::move(host.variant)};
}

}  // namespace gantry::sandbox
