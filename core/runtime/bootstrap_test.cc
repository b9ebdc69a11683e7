// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/bootstrap.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/runtime/shim_binary.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/runtime/bootstrap/v1/bootstrap.pb.h"
#include "proto/types/mount.pb.h"

namespace gantry::runtime {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::IsOkAndHolds;
using ::gantry::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace pb = ::containerd::runtime::bootstrap::v1;

pb::BootstrapResult Result(int version, std::string address, std::string protocol) {
  pb::BootstrapResult result;
  result.set_version(version);
  result.set_address(std::move(address));
  result.set_protocol(std::move(protocol));
  return result;
}

TEST(ShimBinaryNameTest, TheLastTwoPartsCount) {
  EXPECT_EQ(ShimBinaryName("io.containerd.runc.v2"), "containerd-shim-runc-v2");
  EXPECT_EQ(ShimBinaryName("runc.v2"), "containerd-shim-runc-v2");
  EXPECT_EQ(ShimBinaryName("a.b.c.d.wasm.v1"), "containerd-shim-wasm-v1");
  EXPECT_EQ(ShimBinaryName("runc"), "");
  EXPECT_EQ(ShimBinaryName(".v2"), "");
  EXPECT_EQ(ShimBinaryName(""), "");
}

TEST(ShimBinariesTest, NamesThatCannotResolve) {
  ShimBinaries binaries;
  EXPECT_THAT(binaries.Resolve(""), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(binaries.Resolve("runc"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(binaries.Resolve("bin/containerd-shim-x-v1"),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(binaries.Resolve("io.containerd.absent.v9"),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("binary not installed \"containerd-shim-absent-v9\"")));
  EXPECT_THAT(binaries.Resolve("/nonexistent/shim"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("not installed")));
  EXPECT_THAT(binaries.Resolve("/bin/sh"), IsOkAndHolds("/bin/sh"));
}

class StandInTest : public ::testing::Test {
 protected:
  StandInTest() { ::setenv("PATH", dir_.path().c_str(), 1); }
  ~StandInTest() override { ::setenv("PATH", path_.c_str(), 1); }

  std::string Install(const std::string& name) {
    const std::filesystem::path program = dir_.path() / name;
    std::ofstream(program) << "#!/bin/sh\n";
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    return program.string();
  }

  const std::string path_ = std::getenv("PATH");
  gantry::testing::TempDir dir_;
  ShimBinaries binaries_{{{"io.containerd.runc.v2", "io.containerd.standin.v2"}}};
};

TEST_F(StandInTest, IsRunWhereItIsInstalledAndOnlyForTheNameItStandsInFor) {
  const std::string asked = Install("containerd-shim-runc-v2");
  const std::string stand_in = Install("containerd-shim-standin-v2");
  EXPECT_THAT(binaries_.Resolve("io.containerd.runc.v2"), IsOkAndHolds(stand_in));
  EXPECT_THAT(binaries_.Resolve("other.runc.v2"), IsOkAndHolds(asked));
  EXPECT_THAT(binaries_.Resolve(asked), IsOkAndHolds(asked));
}

TEST_F(StandInTest, WithoutItTheOneThatWasAskedForIsRun) {
  EXPECT_THAT(binaries_.Resolve("io.containerd.runc.v2"),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("binary not installed \"containerd-shim-runc-v2\"")));
  const std::string asked = Install("containerd-shim-runc-v2");
  EXPECT_THAT(binaries_.Resolve("io.containerd.runc.v2"), IsOkAndHolds(asked));
  const std::string stand_in = Install("containerd-shim-standin-v2");
  EXPECT_THAT(binaries_.Resolve("io.containerd.runc.v2"), IsOkAndHolds(stand_in));
}

TEST(StartAnswerTest, ReadsABootstrapResult) {
  pb::BootstrapResult result = Result(3, "unix:///run/x.sock", "ttrpc");
  ::containerd::types::MountCapabilities claims;
  claims.add_types("erofs");
  claims.add_transforms("format");
  auto* extension = result.add_extensions()->mutable_value();
  extension->set_type_url("type.googleapis.com/containerd.types.MountCapabilities");
  extension->set_value(claims.SerializeAsString());
  result.add_extensions()->mutable_value()->set_type_url("example.Other");
  const auto answer = ParseStartAnswer(result.SerializeAsString());
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->endpoint, (Endpoint{3, "unix:///run/x.sock", "ttrpc"}));
  ASSERT_TRUE(answer->mounts.has_value());
  EXPECT_THAT(answer->mounts->types, ElementsAre("erofs"));
  EXPECT_THAT(answer->mounts->transforms, ElementsAre("format"));
}

TEST(StartAnswerTest, ReadsJson) {
  const auto answer =
      ParseStartAnswer(R"( {"version":3,"address":"unix:///x","protocol":"TTRPC","more":1})"
                       "\n");
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->endpoint, (Endpoint{3, "unix:///x", "ttrpc"}));
  EXPECT_FALSE(answer->mounts.has_value());
}

TEST(StartAnswerTest, ReadsAnAddressAlone) {
  EXPECT_EQ(ParseStartAnswer("unix:///run/containerd/s/0a1b\n")->endpoint,
            (Endpoint{2, "unix:///run/containerd/s/0a1b", "ttrpc"}));
  // A JSON text of a version that never was is an address as well, however odd.
  EXPECT_EQ(ParseStartAnswer(R"({"version":1})")->endpoint.address, R"({"version":1})");
}

TEST(StartAnswerTest, TextIsNeverTakenForProtobuf) {
  // "\n" opens field 1 of length-delimited type: this text parses as a message of some kind.
  const std::string text = "\n\x05/tmp/";
  EXPECT_EQ(ParseStartAnswer(text)->endpoint.version, 2);
  // Version 1 and unknown protocols are no BootstrapResult of ours.
  EXPECT_EQ(ParseStartAnswer(Result(1, "a", "ttrpc").SerializeAsString())->endpoint.version, 2);
}

TEST(StartAnswerTest, RefusesWhatItCannotSpeak) {
  EXPECT_THAT(ParseStartAnswer(Result(4, "a", "ttrpc").SerializeAsString()),
              StatusIs(absl::StatusCode::kUnimplemented));
  EXPECT_THAT(ParseStartAnswer(R"({"version":4,"address":"a","protocol":"ttrpc"})"),
              StatusIs(absl::StatusCode::kUnimplemented));
  EXPECT_THAT(ParseStartAnswer(R"({"version":3,"address":"a","protocol":"http"})"),
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("http")));
  EXPECT_THAT(ParseStartAnswer(" \n"), StatusIs(absl::StatusCode::kInternal));
}

TEST(EndpointTest, RoundTripsThroughJson) {
  const Endpoint endpoint{3, "unix:///run/\"x\".sock", "grpc"};
  EXPECT_THAT(ParseEndpoint(EncodeEndpoint(endpoint)), IsOkAndHolds(endpoint));
}

TEST(EndpointTest, TaskApiAddresses) {
  EXPECT_THAT(ParseTaskApiAddress("ttrpc+unix:///x", 3),
              IsOkAndHolds(Endpoint{3, "unix:///x", "ttrpc"}));
  EXPECT_THAT(ParseTaskApiAddress("grpc+vsock://2:1024", 3),
              IsOkAndHolds(Endpoint{3, "vsock://2:1024", "grpc"}));
  EXPECT_THAT(ParseTaskApiAddress("unix:///x", 3), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(StartParamsTest, ModernCarriesTheOptionsAsAnExtension) {
  google::protobuf::Any options;
  options.set_type_url("containerd.runc.v1.Options");
  options.set_value(
      "\x32\x04"
      "crun");
  const StartParams params{.id = "c1",
                           .ns = "ns1",
                           .debug = true,
                           .grpc_address = "/run/g.sock",
                           .ttrpc_address = "/run/g.sock.ttrpc",
                           .socket_dir = "/run/s",
                           .options = options};
  pb::BootstrapParams message;
  ASSERT_TRUE(message.ParseFromString(EncodeStart(params, Dialect::kModern)));
  EXPECT_EQ(message.instance_id(), "c1");
  EXPECT_EQ(message.namespace_(), "ns1");
  EXPECT_EQ(message.log_level(), pb::LOG_LEVEL_DEBUG);
  EXPECT_EQ(message.socket_dir(), "/run/s");
  ASSERT_EQ(message.extensions_size(), 1);
  EXPECT_EQ(message.extensions(0).value().value(), options.value());
  EXPECT_EQ(EncodeStart(params, Dialect::kLegacy), options.SerializeAsString());
  EXPECT_EQ(EncodeStart({.id = "c1"}, Dialect::kLegacy), "");
}

}  // namespace
}  // namespace gantry::runtime
