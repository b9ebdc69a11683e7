// SPDX-License-Identifier: Apache-2.0
#include "shim/launch/info.h"

#include <gmock/gmock.h>

#include "shim/group/connected_start.h"
#include "shim/launch/testing/launch_fixture.h"
#include "shim/messages/options.h"
#include "shim/messages/runtime_info.h"

namespace gantry::shim {
namespace {

using ::testing::HasSubstr;

TEST(RuntimeNameTest, ComesFromTheBinarysName) {
  EXPECT_EQ(RuntimeNameOf("/usr/bin/containerd-shim-gantry-v2"), "io.containerd.gantry.v2");
  EXPECT_EQ(RuntimeNameOf("containerd-shim-runc-v2"), "io.containerd.runc.v2");
  EXPECT_EQ(RuntimeNameOf("containerd-shim-runc"), "");
  EXPECT_EQ(RuntimeNameOf("/usr/bin/shim"), "");
}

class InfoTest : public testing::LaunchFixture {
 protected:
  std::string MakeRuntime(const std::string& script) {
    Write(root_ + "/runtime", "#!/bin/sh\n" + script + "\n", 0755);
    return root_ + "/runtime";
  }
  kernel::CommandResult Info(const messages::Any& options) {
    return Run({FakeShim(), "-info"}, root_, messages::Encode(options));
  }
};

TEST_F(InfoTest, TellsVersionFeaturesAndTheOptionsItGot) {
  const messages::Any options = messages::Pack(messages::runc_v1::Options{
      .binary_name = MakeRuntime("[ \"$*\" = features ] && echo '{\"x\":1}'")});
  const auto ran = Info(options);
  ASSERT_EQ(ran.status.code, 0) << ran.errors;
  const auto info = messages::Decode<messages::RuntimeInfo>(ran.output);
  ASSERT_TRUE(info && info->version && info->options && info->features);
  EXPECT_EQ(info->version->version, "1.2.3");
  EXPECT_EQ(info->version->revision, "abcdef");
  EXPECT_EQ(info->options->type_url, options.type_url);
  EXPECT_EQ(info->options->value, options.value);
  EXPECT_EQ(info->features->type_url,
            "types.containerd.io/opencontainers/runtime-spec/1/features/Features");
  EXPECT_EQ(info->features->value, "{\"x\":1}\n");
}

TEST_F(InfoTest, TheVersionIsToldWithHowTheServerCanBeStarted) {
  const auto ran = Run({FakeShim(), "-v"}, root_);
  EXPECT_EQ(ran.status.code, 0);
  EXPECT_THAT(ran.output, HasSubstr("  Version:  1.2.3\n"));
  EXPECT_THAT(ran.output, HasSubstr(kConnectedStartLine));
}

TEST_F(InfoTest, ARuntimeWithoutFeaturesIsNoError) {
  const auto ran = Info(
      messages::Pack(messages::runc_v1::Options{.binary_name = MakeRuntime("echo no; exit 1")}));
  ASSERT_EQ(ran.status.code, 0) << ran.errors;
  const auto info = messages::Decode<messages::RuntimeInfo>(ran.output);
  ASSERT_TRUE(info.has_value());
  EXPECT_FALSE(info->features.has_value());
}

TEST_F(InfoTest, AMissingRuntimeIsAnError) {
  const auto ran =
      Info(messages::Pack(messages::runc_v1::Options{.binary_name = root_ + "/missing"}));
  EXPECT_EQ(ran.status.code, 1);
  EXPECT_THAT(ran.errors, HasSubstr("/missing"));
}

TEST_F(InfoTest, OptionsAsTomlNameTheRuntime) {
  const auto ran = Info(messages::Pack(messages::runtimeoptions_v1::Options{
      .type_url = "containerd.runc.v1.Options",
      .config_body = "BinaryName = \"" + MakeRuntime("echo '{}'") + "\"\n"}));
  ASSERT_EQ(ran.status.code, 0) << ran.errors;
  EXPECT_EQ(messages::Decode<messages::RuntimeInfo>(ran.output)->features->value, "{}\n");
}

}  // namespace
}  // namespace gantry::shim
