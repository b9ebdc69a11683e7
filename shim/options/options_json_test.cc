// SPDX-License-Identifier: Apache-2.0
#include "shim/options/options_json.h"

#include <gmock/gmock.h>

#include "core/kernel/testing/matchers.h"
#include "shim/messages/codec.h"

namespace gantry::shim {
namespace {

using gantry::testing::FailsWith;
using gantry::testing::Succeeds;

const RuncOptions kFull = {.no_pivot_root = true,
                           .no_new_keyring = true,
                           .shim_cgroup = "/shims",
                           .io_uid = 1000,
                           .io_gid = 4294967295,
                           .binary_name = "/opt/\"crun\"",
                           .root = "/run/x",
                           .systemd_cgroup = true,
                           .criu_image_path = "/image",
                           .criu_work_path = "/work"};

TEST(OptionsJsonTest, MembersHaveGosNamesAndOrder) {
  EXPECT_EQ(OptionsToJson(kFull),
            R"({"no_pivot_root":true,"no_new_keyring":true,"shim_cgroup":"/shims","io_uid":1000,)"
            R"("io_gid":4294967295,"binary_name":"/opt/\"crun\"","root":"/run/x",)"
            R"("systemd_cgroup":true,"criu_image_path":"/image","criu_work_path":"/work"})");
}

TEST(OptionsJsonTest, DefaultsAreLeftOut) {
  EXPECT_EQ(OptionsToJson({}), "{}");
  EXPECT_EQ(OptionsToJson({.systemd_cgroup = true}), R"({"systemd_cgroup":true})");
}

TEST(OptionsJsonTest, OptionsComeBack) {
  const auto read = OptionsFromJson(OptionsToJson(kFull));
  ASSERT_THAT(read, Succeeds());
  EXPECT_EQ(messages::Encode(*read), messages::Encode(kFull));
}

TEST(OptionsJsonTest, UnknownMembersAndNullArePassedOver) {
  const auto read = OptionsFromJson(
      R"({"task_api_version":3,"future":{"root":"/x"},"root":null,"io_uid":5,"binary_name":"r"} )");
  ASSERT_THAT(read, Succeeds());
  EXPECT_EQ(read->root, "");
  EXPECT_EQ(read->io_uid, 5U);
  EXPECT_EQ(read->binary_name, "r");
}

TEST(OptionsJsonTest, WhatIsNoOptionsIsRefused) {
  for (const char* text :
       {"", "null", "[]", "{", R"({"root":1})", R"({"systemd_cgroup":"true"})", R"({"io_uid":-1})",
        R"({"io_gid":4294967296})", R"({"io_uid":1.5})", R"({"root":"x)", "{} {}"}) {
    EXPECT_THAT(OptionsFromJson(text), FailsWith(EINVAL)) << text;
  }
}

}  // namespace
}  // namespace gantry::shim
