// SPDX-License-Identifier: Apache-2.0
#include "shim/launch/start_input.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "shim/messages/codec.h"
#include "shim/messages/options.h"

namespace gantry::shim {
namespace {

Flags FlagsOf(const std::string& id, const std::string& ns) {
  Flags flags;
  flags.id = id;
  flags.ns = ns;
  return flags;
}

messages::BootstrapParams Params() {
  messages::BootstrapParams params;
  params.instance_id = "c1";
  params.ns = "k8s.io";
  return params;
}

TEST(StartInputTest, ParametersThatRepeatIdAndNamespaceAreTakenForSuch) {
  messages::BootstrapParams params = Params();
  params.log_level = messages::LogLevel::kDebug;
  params.socket_dir = "/run/x";
  const StartInput input = ParseStartInput(messages::Encode(params), FlagsOf("c1", "k8s.io"));
  ASSERT_TRUE(input.bootstrap.has_value());
  EXPECT_EQ(input.bootstrap->socket_dir, "/run/x");
  EXPECT_EQ(input.bootstrap->log_level, messages::LogLevel::kDebug);
  EXPECT_FALSE(input.options.has_value());
}

TEST(StartInputTest, ParametersOfAnotherContainerOrNamespaceAreNot) {
  const std::string bytes = messages::Encode(Params());
  EXPECT_FALSE(ParseStartInput(bytes, FlagsOf("c2", "k8s.io")).bootstrap.has_value());
  EXPECT_FALSE(ParseStartInput(bytes, FlagsOf("c1", "moby")).bootstrap.has_value());
}

TEST(StartInputTest, OptionsAreAnExtensionOfAnOptionsType) {
  messages::BootstrapParams params = Params();
  params.extensions.push_back({messages::Any{.type_url = "some.Other", .value = "x"}});
  messages::Any options = messages::Pack(messages::runc_v1::Options{.binary_name = "crun"});
  options.type_url = "types.example/" + options.type_url;
  params.extensions.push_back({});
  params.extensions.push_back({options});
  const StartInput input = ParseStartInput(messages::Encode(params), FlagsOf("c1", "k8s.io"));
  ASSERT_TRUE(input.options.has_value());
  EXPECT_EQ(input.options->type_url, options.type_url);
  EXPECT_EQ(input.options->value, options.value);
}

TEST(StartInputTest, NothingAndWhatIsNeitherCountAsNothing) {
  for (const std::string bytes : {"", "\xff\xff\xff", "plain text"}) {
    const StartInput input = ParseStartInput(bytes, FlagsOf("c1", "k8s.io"));
    EXPECT_FALSE(input.bootstrap.has_value());
    EXPECT_FALSE(input.options.has_value());
  }
}

std::string RandomText(std::mt19937& random) {
  std::string text(random() % 40, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

TEST(StartInputTest, OptionsOfOlderDaemonsAreNeverTakenForParameters) {
  std::mt19937 random(20240229);
  for (int i = 0; i < 10'000; ++i) {
    const messages::runc_v1::Options options{.no_pivot_root = random() % 2 == 0,
                                             .shim_cgroup = RandomText(random),
                                             .io_uid = static_cast<uint32_t>(random()),
                                             .binary_name = RandomText(random),
                                             .root = RandomText(random)};
    const messages::Any any = messages::Pack(options);
    const StartInput input = ParseStartInput(messages::Encode(any), FlagsOf("c1", "k8s.io"));
    ASSERT_FALSE(input.bootstrap.has_value());
    ASSERT_TRUE(input.options.has_value());
    ASSERT_EQ(input.options->value, any.value);
  }
}

}  // namespace
}  // namespace gantry::shim
