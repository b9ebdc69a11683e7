// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "cmd/gctr/container/create.h"
#include "cmd/gctr/container/flags.h"
#include "cmd/gctr/container/runtime.h"
#include "cmd/gctr/container/spec.h"
#include "core/base/status.h"
#include "core/base/testing/matchers.h"
#include "proto/types/runc/options/oci.pb.h"

namespace gantry::gctr {
namespace {

using ::testing::ElementsAre;
using testing::IsOk;
using ::testing::Pair;
using testing::StatusIs;

SpecInput Input() {
  SpecInput input;
  input.ns = "default";
  input.id = "c1";
  input.root_folder = "/rootfs";
  input.open_root = [] { return absl::StatusOr<Rootfs>(Internal("not to be opened")); };
  return input;
}

Json Build(const ContainerFlags& flags) {
  const absl::StatusOr<Json> spec = BuildSpec(flags, Input());
  EXPECT_THAT(spec, IsOk());
  return spec.value_or(Json());
}

TEST(ContainerSpecTest, FlagsEndUpWhereTheRuntimeLooks) {
  ContainerFlags flags;
  flags.user = "7:8";
  flags.tty = true;
  flags.net_host = true;
  flags.cpus = 0.5;
  flags.cpu_shares = 1024;
  flags.memory_limit = 1000;
  flags.with_ns = {"pid:/proc/1/ns/pid"};
  flags.rlimit_nofile = "10:20";
  flags.hostname = "host";
  flags.labels = {"a=b", "flag"};
  flags.cgroup = "";
  flags.mounts = {"type=tmpfs,dst=/run"};
  const Json spec = Build(flags);
  EXPECT_EQ(spec["process"]["user"]["uid"], 7);
  EXPECT_EQ(spec["process"]["terminal"], true);
  EXPECT_EQ(spec["process"]["rlimits"][0]["hard"], 20);
  EXPECT_EQ(spec["linux"]["resources"]["cpu"]["quota"], 50'000);
  EXPECT_EQ(spec["linux"]["resources"]["cpu"]["shares"], 1024);
  EXPECT_EQ(spec["linux"]["resources"]["memory"]["limit"], 1000);
  EXPECT_EQ(spec["linux"]["namespaces"].size(), 4U);
  EXPECT_FALSE(spec["linux"].contains("cgroupsPath"));
  EXPECT_EQ(spec["hostname"], "host");
  EXPECT_EQ(spec["annotations"], Json({{"a", "b"}, {"flag", "true"}}));
  EXPECT_EQ(spec["root"]["path"], "/rootfs");
  EXPECT_EQ(spec["mounts"].size(), 9U);
}

TEST(ContainerSpecTest, BadValuesAreRefused) {
  ContainerFlags flags;
  for (const char* text : {"10", "x:1", "1:2:3"}) {
    flags.rlimit_nofile = text;
    const bool plain = std::string(text) == "10";  // both limits
    EXPECT_EQ(BuildSpec(flags, Input()).ok(), plain) << text;
  }
  flags = {};
  flags.with_ns = {"what:/x"};
  EXPECT_THAT(BuildSpec(flags, Input()), StatusIs(absl::StatusCode::kInvalidArgument));
  flags = {};
  flags.annotations = {"novalue"};
  EXPECT_THAT(BuildSpec(flags, Input()), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(ContainerFlagsTest, ContradictionsAreRefused) {
  ContainerFlags flags;
  EXPECT_THAT(CheckContainerFlags(flags), IsOk());
  flags.cap_add = {"SYS_ADMIN"};
  EXPECT_THAT(CheckContainerFlags(flags), StatusIs(absl::StatusCode::kInvalidArgument));
  flags = {};
  flags.cpus = 1;
  flags.cpu_period = 5;
  EXPECT_THAT(CheckContainerFlags(flags), StatusIs(absl::StatusCode::kInvalidArgument));
  flags = {};
  flags.seccomp_profile = "x";
  EXPECT_THAT(CheckContainerFlags(flags), StatusIs(absl::StatusCode::kInvalidArgument));
  flags = {};
  flags.cni = true;
  EXPECT_THAT(CheckContainerFlags(flags), StatusIs(absl::StatusCode::kUnimplemented));
}

TEST(ContainerArgumentsTest, ConfigTakesTheIdAlone) {
  ContainerFlags flags;
  EXPECT_EQ(ParseContainerArguments(flags, {"img", "id", "sh", "-c"})->command.size(), 2U);
  EXPECT_THAT(ParseContainerArguments(flags, {"img"}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  flags.config = "spec.json";
  EXPECT_EQ(ParseContainerArguments(flags, {"id"})->id, "id");
  EXPECT_THAT(ParseContainerArguments(flags, {"img", "id"}),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(LabelsTest, KeyAloneIsTrue) {
  EXPECT_THAT(ParseLabels({"a=1=2", "b", "c="}),
              ElementsAre(Pair("a", "1=2"), Pair("b", "true"), Pair("c", "")));
}

TEST(RuntimeTest, TaskAddsToTheContainersOptions) {
  ContainerFlags flags;
  flags.runc_root = "/root";
  containerd::services::containers::v1::Container container;
  ASSERT_THAT(SetRuntime(flags, *container.mutable_runtime()), IsOk());
  EXPECT_EQ(container.runtime().options().type_url(), "containerd.runc.v1.Options");
  containerd::services::tasks::v1::CreateTaskRequest request;
  ASSERT_THAT(SetTaskOptions(container, Json::object(), false, request), IsOk());
  EXPECT_FALSE(request.has_options());
  const Json spec = {{"linux", {{"uidMappings", Json::array({{{"hostID", 1000}}})}}}};
  ASSERT_THAT(SetTaskOptions(container, spec, true, request), IsOk());
  containerd::runc::v1::Options options;
  ASSERT_TRUE(options.ParseFromString(request.options().value()));
  EXPECT_EQ(options.root(), "/root");
  EXPECT_EQ(options.io_uid(), 1000U);
  EXPECT_TRUE(options.no_pivot_root());
}

TEST(RuntimeTest, OtherRuntimesTakeNoRuncOptions) {
  ContainerFlags flags;
  flags.runtime = "io.example.v1";
  containerd::services::containers::v1::Container::Runtime runtime;
  ASSERT_THAT(SetRuntime(flags, runtime), IsOk());
  EXPECT_FALSE(runtime.has_options());
  flags.runc_binary = "crun";
  EXPECT_THAT(SetRuntime(flags, runtime), StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace gantry::gctr
