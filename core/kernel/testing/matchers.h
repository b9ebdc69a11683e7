// SPDX-License-Identifier: Apache-2.0
// Succeeds and FailsWith for kernel::Result.
#pragma once

#include <gmock/gmock.h>

#include "core/kernel/result.h"

namespace gantry::testing {

MATCHER(Succeeds, "succeeds") {
  if (!arg.ok()) *result_listener << arg.error().Text();
  return arg.ok();
}

MATCHER_P(FailsWith, err, "fails with errno " + ::testing::PrintToString(err)) {
  *result_listener << (arg.ok() ? "it succeeded" : arg.error().Text());
  return !arg.ok() && arg.error().err == err;
}

}  // namespace gantry::testing
