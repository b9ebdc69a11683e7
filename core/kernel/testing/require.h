// SPDX-License-Identifier: Apache-2.0
// What a test needs of the machine. Call these in SetUp(): a test whose need is not met is skipped,
// or fails where GANTRY_REQUIRE_KERNEL=1 says that every need must be met.
#pragma once

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace gantry::testing {

inline void SkipFor(std::string_view need) {
  const char* strict = std::getenv("GANTRY_REQUIRE_KERNEL");
  if (strict != nullptr && std::string_view(strict) == "1") {
    FAIL() << "this machine lacks " << need;
  }
  GTEST_SKIP() << "needs " << need;
}

inline void RequireRoot() {
  if (::geteuid() != 0) SkipFor("root");
}

// Gives the process a mount namespace of its own, so that whatever a failing test leaves mounted
// goes with it. Call it before the test makes threads.
inline void RequirePrivateMounts() {
  RequireRoot();
  if (::testing::Test::IsSkipped() || ::testing::Test::HasFatalFailure()) return;
  static const bool entered =
      ::unshare(CLONE_NEWNS) == 0 &&
      ::mount("", "/", "", MS_REC | MS_PRIVATE, "") == 0;  // nothing travels back
  if (!entered) SkipFor("a mount namespace of its own");
}

inline void RequireProgram(const char* path) {
  if (::access(path, X_OK) != 0) SkipFor(path);
}

}  // namespace gantry::testing
