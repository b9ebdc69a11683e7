// SPDX-License-Identifier: Apache-2.0
#include "shim/json/process_edit.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "core/kernel/testing/matchers.h"

namespace gantry::shim {
namespace {

using gantry::testing::FailsWith;
using gantry::testing::Succeeds;

std::string Edited(std::string_view process, bool terminal) {
  auto edited = SetProcessTerminal(process, terminal);
  EXPECT_THAT(edited, Succeeds());
  return edited ? *edited : "";
}

TEST(ProcessEditTest, TheMemberIsReplacedAndAllElseKept) {
  EXPECT_EQ(
      Edited(R"( { "args":["terminal"] , "terminal" : false ,"x":{"terminal":false}} )", true),
      R"( { "args":["terminal"] , "terminal" : true ,"x":{"terminal":false}} )");
  EXPECT_EQ(Edited(R"({"terminal":true})", false), R"({"terminal":false})");
  EXPECT_EQ(Edited(R"({"terminal":{"a":[1]},"z":1e9})", true), R"({"terminal":true,"z":1e9})");
}

TEST(ProcessEditTest, AMissingMemberIsAdded) {
  EXPECT_EQ(Edited("{}", false), R"({"terminal":false})");
  EXPECT_EQ(Edited(" { } ", true), R"( {"terminal":true } )");
  EXPECT_EQ(Edited(R"({ "cwd":"/"})", true), R"({"terminal":true, "cwd":"/"})");
}

TEST(ProcessEditTest, RepeatedMembersAreAllReplaced) {
  EXPECT_EQ(Edited(R"({"terminal":false,"a":1,"terminal":null})", true),
            R"({"terminal":true,"a":1,"terminal":true})");
  EXPECT_EQ(Edited(R"({"t\u0065rminal":false})", true), R"({"t\u0065rminal":true})");
}

TEST(ProcessEditTest, NamesThatGoTakesForTheMembersAreReplacedToo) {
  EXPECT_EQ(Edited(R"({"terminal":false,"Terminal":true})", false),
            R"({"terminal":false,"Terminal":false})");
  EXPECT_EQ(Edited(R"({"TERMINAL":true})", false), R"({"terminal":false,"TERMINAL":false})");
}

TEST(ProcessEditTest, WhatIsNoJsonObjectIsRefused) {
  for (const char* text : {"", "null", "[]", "\"terminal\"", "{", R"({"terminal":true)", "{} x",
                           R"({"terminal":tru})", R"({"terminal"})", R"({"a":1,})"}) {
    EXPECT_THAT(SetProcessTerminal(text, true), FailsWith(EINVAL)) << text;
  }
}

TEST(ProcessEditTest, ArgsAreReplacedOrAdded) {
  const std::vector<std::string> args = {"sh", "-c", "echo \"a\\b\"\n"};
  const std::string wanted = R"("args":["sh","-c","echo \"a\\b\"\n"])";
  EXPECT_EQ(*SetProcessArgs(R"({"cwd":"/","args":["init"]})", args),
            R"({"cwd":"/",)" + wanted + "}");
  EXPECT_EQ(*SetProcessArgs(R"({"cwd":"/"})", args), "{" + wanted + R"(,"cwd":"/"})");
  EXPECT_EQ(*SetProcessArgs("{}", {}), R"({"args":[]})");
  EXPECT_THAT(SetProcessArgs("[]", args), FailsWith(EINVAL));
}

}  // namespace
}  // namespace gantry::shim
