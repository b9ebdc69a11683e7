// SPDX-License-Identifier: Apache-2.0
#include "core/oci/seccomp.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <set>
#include <string>

#include "core/oci/capabilities.h"
#include "core/oci/default_spec.h"
#include "core/oci/seccomp_syscalls.h"

namespace gantry::oci {
namespace {

// Whether some rule allows `name` whatever its arguments.
bool AllowsAlways(const Json& profile, const std::string& name) {
  return std::ranges::any_of(profile["syscalls"], [&](const Json& rule) {
    const Json& names = rule["names"];
    return rule["action"] == "SCMP_ACT_ALLOW" && !rule.contains("args") &&
           std::ranges::find(names, Json(name)) != names.end();
  });
}

TEST(SeccompTest, NewNamespacesNeedSysAdmin) {
  Json spec = DefaultSpec("ns", "id");
  Json profile = DefaultSeccompProfile(spec);
  EXPECT_EQ(profile["defaultAction"], "SCMP_ACT_ERRNO");
  for (const char* name : {"unshare", "setns", "mount", "clone", "clone3", "bpf"}) {
    EXPECT_FALSE(AllowsAlways(profile, name)) << name;
  }
  EXPECT_EQ(profile["syscalls"].back()["names"], Json::array({"clone3"}));
  EXPECT_EQ(profile["syscalls"].back()["errnoRet"], 38);
  AddCapabilities(spec, {"CAP_SYS_ADMIN"});
  profile = DefaultSeccompProfile(spec);
  for (const char* name : {"unshare", "setns", "mount", "clone", "clone3", "bpf"}) {
    EXPECT_TRUE(AllowsAlways(profile, name)) << name;
  }
}

TEST(SeccompTest, CapabilitiesBringTheirCalls) {
  Json spec = DefaultSpec("ns", "id");
  EXPECT_TRUE(AllowsAlways(DefaultSeccompProfile(spec), "chroot"));
  DropCapabilities(spec, {"CAP_SYS_CHROOT"});
  EXPECT_FALSE(AllowsAlways(DefaultSeccompProfile(spec), "chroot"));
}

TEST(SeccompTest, SomeSocketFamiliesAreNotForContainers) {
  const Json profile = DefaultSeccompProfile(DefaultSpec("ns", "id"));
  const auto allowed = [&](uint64_t family) {
    return std::ranges::any_of(profile["syscalls"], [&](const Json& rule) {
      if (rule["names"] != Json::array({"socket"})) return false;
      const Json& argument = rule["args"][0];
      const uint64_t value = argument["value"].get<uint64_t>();
      return argument["op"] == "SCMP_CMP_LT" ? family < value : family == value;
    });
  };
  EXPECT_FALSE(AllowsAlways(profile, "socket"));
  for (const uint64_t family : {1, 2, 10, 16, 17, 37, 39, 45}) EXPECT_TRUE(allowed(family));
  for (const uint64_t family : {38, 40, 46}) EXPECT_FALSE(allowed(family)) << family;
}

TEST(SeccompTest, NoCallIsListedTwice) {
  const std::span<const std::string_view> common = CommonSyscalls();
  EXPECT_EQ(std::set(common.begin(), common.end()).size(), common.size());
}

}  // namespace
}  // namespace gantry::oci
