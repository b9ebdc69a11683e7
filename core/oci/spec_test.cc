// SPDX-License-Identifier: Apache-2.0
#include "core/oci/spec.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/oci/capabilities.h"
#include "core/oci/default_spec.h"
#include "core/oci/environment.h"
#include "core/oci/process.h"
#include "core/oci/resources.h"

namespace gantry::oci {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using testing::IsOk;
using ::testing::IsSupersetOf;
using ::testing::Not;
using testing::StatusIs;

Json Spec() { return DefaultSpec("k8s.io", "c1"); }

std::vector<std::string> Destinations(const Json& spec) {
  std::vector<std::string> destinations;
  for (const Json& mount : spec["mounts"]) {
    destinations.push_back(StringMember(mount, "destination"));
  }
  return destinations;
}

std::vector<std::string> NamespaceTypes(const Json& spec) {
  std::vector<std::string> types;
  for (const Json& ns : spec["linux"]["namespaces"]) types.push_back(StringMember(ns, "type"));
  return types;
}

TEST(DefaultSpecTest, HasTheMountsNamespacesAndCgroupOfContainerd) {
  const Json spec = Spec();
  EXPECT_EQ(spec["ociVersion"], "1.3.0");
  EXPECT_THAT(Destinations(spec),
              ElementsAre("/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/run"));
  EXPECT_THAT(NamespaceTypes(spec), ElementsAre("pid", "ipc", "uts", "mount", "network"));
  EXPECT_EQ(spec["linux"]["cgroupsPath"], "/k8s.io/c1");
  EXPECT_EQ(spec["linux"]["resources"]["devices"],
            Json::array({{{"allow", false}, {"access", "rwm"}}}));
  EXPECT_EQ(spec["process"]["noNewPrivileges"], true);
}

// CVE-2022-24769.
TEST(DefaultSpecTest, NoCapabilityIsInheritableOrAmbient) {
  const Json spec = Spec();
  const Json& capabilities = spec["process"]["capabilities"];
  EXPECT_EQ(capabilities["bounding"].size(), 14U);
  EXPECT_FALSE(capabilities.contains("inheritable"));
  EXPECT_FALSE(capabilities.contains("ambient"));
}

// GHSA-7ww5-4wqc-m92c.
TEST(DefaultSpecTest, PowercapIsMasked) {
  EXPECT_THAT(DefaultMaskedPaths(), IsSupersetOf({"/sys/devices/virtual/powercap", "/proc/kcore"}));
  EXPECT_THAT(DefaultReadonlyPaths(), Contains("/proc/sys"));
}

TEST(CapabilitiesTest, AddedAndDroppedOnesKeepTheOrder) {
  Json spec = Spec();
  AddCapabilities(spec, {"CAP_SYS_ADMIN", "CAP_CHOWN"});
  EXPECT_EQ(spec["process"]["capabilities"]["effective"].back(), "CAP_SYS_ADMIN");
  EXPECT_EQ(spec["process"]["capabilities"]["effective"].size(), 15U);
  DropCapabilities(spec, KnownCapabilities());
  EXPECT_TRUE(spec["process"]["capabilities"].empty());
}

TEST(CapabilitiesTest, CurrentOnesAreKnownOnes) {
  const absl::StatusOr<std::vector<std::string>> current = CurrentCapabilities();
  ASSERT_THAT(current, IsOk());
  EXPECT_THAT(KnownCapabilities(), IsSupersetOf(*current));
}

TEST(EnvironmentTest, LaterEntriesTakeThePlaceOfEarlierOnes) {
  EXPECT_THAT(MergeEnvironment({"A=1", "B=2", "C=3"}, {"B=x=y", "C", "D=4", "E"}),
              ElementsAre("A=1", "B=x=y", "D=4"));
}

TEST(EnvironmentTest, FileHasAnEntryOnEachLine) {
  const testing::TempDir folder;
  const std::string path = folder.path() / "env";
  std::ofstream(path) << "A=1\r\nB=two words\n\nC";
  const absl::StatusOr<std::vector<std::string>> lines = ReadEnvironmentFile(path);
  ASSERT_THAT(lines, IsOk());
  EXPECT_THAT(*lines, ElementsAre("A=1", "B=two words", "", "C"));
  EXPECT_THAT(ReadEnvironmentFile(path + "x"), StatusIs(absl::StatusCode::kNotFound));
}

TEST(ProcessTest, ImageGivesArgumentsEnvironmentAndFolder) {
  Json spec = Spec();
  AddEnvironment(spec, {"A=mine"});
  ApplyImageConfig(spec, {.env = {"A=image", "B=image"}, .entrypoint = {"/e"}, .cmd = {"c"}});
  EXPECT_EQ(spec["process"]["env"], Json::array({"A=mine", "B=image"}));
  EXPECT_EQ(spec["process"]["args"], Json::array({"/e", "c"}));
  EXPECT_EQ(spec["process"]["cwd"], "/");
}

TEST(ProcessTest, ImageWithoutEnvironmentGetsAPath) {
  Json spec = Spec();
  ApplyImageConfig(spec, {.cmd = {"sh"}, .working_dir = "/w"});
  EXPECT_EQ(spec["process"]["env"], Json::array({std::string(DefaultPath())}));
  EXPECT_EQ(spec["process"]["cwd"], "/w");
}

TEST(ProcessTest, RlimitReplacesOneOfItsType) {
  Json spec = Spec();
  SetRlimit(spec, "RLIMIT_NOFILE", 10, 20);
  SetRlimit(spec, "RLIMIT_CORE", 0, 0);
  EXPECT_EQ(spec["process"]["rlimits"].size(), 2U);
  EXPECT_EQ(spec["process"]["rlimits"][0]["soft"], 10);
}

TEST(MountFlagTest, FieldsAreCommaSeparatedValues) {
  const absl::StatusOr<SpecMount> mount =
      ParseMountFlag(R"(type=bind,"src=/a,b ""c""",dst=/d,options=rbind:ro)");
  ASSERT_THAT(mount, IsOk());
  EXPECT_EQ(mount->source, "/a,b \"c\"");
  EXPECT_THAT(mount->options, ElementsAre("rbind", "ro"));
  for (const char* text : {"type", "what=x,dst=/d", "\"dst=/x", "type=bind,src=/a", "dst=\"a\""}) {
    EXPECT_THAT(ParseMountFlag(text), StatusIs(absl::StatusCode::kInvalidArgument)) << text;
  }
}

TEST(SpecTest, MountReplacesTheDefaultAtItsDestination) {
  Json spec = Spec();
  AddMounts(spec, {{.type = "tmpfs", .source = "t", .destination = "/run/"}});
  EXPECT_THAT(Destinations(spec), Not(Contains("/run")));
  EXPECT_EQ(Destinations(spec).back(), "/run/");
}

TEST(SpecTest, NamespacesAreSharedJoinedAndMade) {
  Json spec = Spec();
  ShareHostNamespace(spec, "network");
  SetNamespace(spec, "pid", "/proc/1/ns/pid");
  AddUserNamespace(spec, {{.container_id = 0, .host_id = 1000, .size = 10}}, {});
  EXPECT_THAT(NamespaceTypes(spec), ElementsAre("pid", "ipc", "uts", "mount", "user"));
  EXPECT_EQ(spec["linux"]["namespaces"][0]["path"], "/proc/1/ns/pid");
  EXPECT_EQ(spec["linux"]["uidMappings"][0]["hostID"], 1000);
}

TEST(SpecTest, IdMappingsAre32BitNumbers) {
  EXPECT_THAT(ParseIdMapping("0:100000:65536"), IsOk());
  for (const char* text : {"0:1", "0:1:2:3", "0:-1:5", "0:4294967296:1", "a:b:c", "0:1:"}) {
    EXPECT_THAT(ParseIdMapping(text), StatusIs(absl::StatusCode::kInvalidArgument)) << text;
  }
}

TEST(SpecTest, PrivilegedHidesNothing) {
  Json spec = Spec();
  spec["linux"]["seccomp"] = Json::object();
  ASSERT_THAT(SetPrivileged(spec), IsOk());
  EXPECT_FALSE(spec["linux"].contains("maskedPaths"));
  EXPECT_FALSE(spec["linux"].contains("readonlyPaths"));
  EXPECT_FALSE(spec["linux"].contains("seccomp"));
  EXPECT_EQ(spec["mounts"][5]["options"].back(), "rw");
  EXPECT_FALSE(spec["process"]["capabilities"].contains("inheritable"));
}

TEST(SpecTest, ResourcesStandWhereTheRuntimeLooks) {
  Json spec = Spec();
  SetMemoryLimit(spec, 1 << 20);
  SetCpuBandwidth(spec, 50'000, 100'000);
  SetCpuShares(spec, 512);
  SetCgroupsPath(spec, "");
  const Json& resources = spec["linux"]["resources"];
  EXPECT_EQ(resources["memory"]["limit"], 1 << 20);
  EXPECT_EQ(resources["cpu"], Json({{"quota", 50'000}, {"period", 100'000}, {"shares", 512}}));
  EXPECT_FALSE(spec["linux"].contains("cgroupsPath"));
}

TEST(SpecTest, OnlyAnObjectIsASpec) {
  EXPECT_THAT(ParseSpec("[]"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseSpec(R"({"process":{}})"), IsOk());
}

}  // namespace
}  // namespace gantry::oci
