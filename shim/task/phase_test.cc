// SPDX-License-Identifier: Apache-2.0
#include "shim/task/phase.h"

#include <string>

#include "gtest/gtest.h"
#include "shim/messages/identifier.h"

namespace gantry::shim {
namespace {

// One letter for each verb that is allowed.
std::string AllowedToInit(Phase phase, Origin origin = Origin::kFresh) {
  constexpr std::string_view kLetters = "sprkxucd";  // in the order of Verb
  std::string allowed;
  for (size_t i = 0; i < kLetters.size(); ++i) {
    if (!RefuseInit(static_cast<Verb>(i), phase, origin)) allowed += kLetters[i];
  }
  return allowed;
}

TEST(Phase, WhatMayBeDoneToAnInitProcess) {
  EXPECT_EQ(AllowedToInit(Phase::kCreated), "skxud");
  EXPECT_EQ(AllowedToInit(Phase::kCreated, Origin::kCheckpoint), "skud");
  EXPECT_EQ(AllowedToInit(Phase::kRunning), "pkxuc");
  EXPECT_EQ(AllowedToInit(Phase::kPausing), "kuc");
  EXPECT_EQ(AllowedToInit(Phase::kPaused), "rkuc");
  EXPECT_EQ(AllowedToInit(Phase::kStopped), "kd");
  EXPECT_EQ(AllowedToInit(Phase::kDeleted), "");
}

TEST(Phase, WhatMayBeDoneToAnExec) {
  const auto allowed = [](Phase phase) {
    return std::string(RefuseExec(Verb::kStart, phase) ? "" : "s") +
           (RefuseExec(Verb::kDelete, phase) ? "" : "d");
  };
  EXPECT_EQ(allowed(Phase::kCreated), "sd");
  EXPECT_EQ(allowed(Phase::kRunning), "");
  EXPECT_EQ(allowed(Phase::kStopped), "d");
  EXPECT_EQ(allowed(Phase::kDeleted), "");
}

TEST(Phase, ARefusalSaysWhatAndWhere) {
  EXPECT_EQ(*RefuseInit(Verb::kDelete, Phase::kRunning, Origin::kFresh),
            "cannot delete a running process");
  EXPECT_EQ(*RefuseInit(Verb::kPause, Phase::kStopped, Origin::kFresh),
            "cannot pause a stopped container");
  EXPECT_EQ(*RefuseExec(Verb::kDelete, Phase::kRunning), "cannot delete a running process");
}

TEST(Identifier, IsWhatMayBecomeAFilesName) {
  for (const char* good : {"a", "0", "a.b_c-d", "A1"}) EXPECT_TRUE(IsIdentifier(good)) << good;
  EXPECT_TRUE(IsIdentifier(std::string(76, 'a')));
  for (const char* bad : {"", ".", "..", "a..b", "-a", "a-", "a/b", "a b", "\xc3\xa4", "a._b"}) {
    EXPECT_FALSE(IsIdentifier(bad)) << bad;
  }
  EXPECT_FALSE(IsIdentifier(std::string(77, 'a')));
}

}  // namespace
}  // namespace gantry::shim
