// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/client/shim_client.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "gtest/gtest.h"

namespace gantry::gctr {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;

class FindShimTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& text) {
    const auto bundle = dir_.path() / "io.containerd.runtime.v2.task/ns/c";
    std::filesystem::create_directories(bundle);
    std::ofstream(bundle / name) << text;
  }
  absl::StatusOr<ShimEndpoint> Find(const std::string& ns = "ns", const std::string& id = "c") {
    return FindShim("unix://" + (dir_.path() / "gantry.sock").string(), ns, id);
  }

  const gantry::testing::TempDir dir_;
};

TEST_F(FindShimTest, ReadsTheBundleBesideTheSocket) {
  Write("bootstrap.json", R"({"version":3,"address":"unix:///s","protocol":"ttrpc"})");
  Write("address", "unix:///older");
  const auto endpoint = Find();
  ASSERT_THAT(endpoint, IsOk());
  EXPECT_EQ(endpoint->address, "unix:///s");
  EXPECT_EQ(endpoint->version, 3);
}

TEST_F(FindShimTest, KnowsTheAddressAlone) {
  Write("address", "unix:///old");
  const auto endpoint = Find();
  ASSERT_THAT(endpoint, IsOk());
  EXPECT_EQ(endpoint->address, "unix:///old");
  EXPECT_EQ(endpoint->version, 2);
}

TEST_F(FindShimTest, TellsWhatIsWrong) {
  EXPECT_THAT(Find(), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Find("ns", "../c"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Find("..", "c"), StatusIs(absl::StatusCode::kInvalidArgument));
  Write("bootstrap.json", R"({"version":3,"address":"unix:///s","protocol":"grpc"})");
  EXPECT_THAT(Find(), StatusIs(absl::StatusCode::kUnimplemented));
  Write("bootstrap.json", R"({"version":3})");
  EXPECT_THAT(Find(), StatusIs(absl::StatusCode::kDataLoss));
  Write("bootstrap.json", "{");
  EXPECT_THAT(Find(), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(ShimClientTest, AShimThatIsNotThere) {
  EXPECT_THAT(
      ShimClient::Connect({.address = "unix:///nowhere/s"}, "ns", absl::InfiniteFuture()).status(),
      StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(ShimClient::Connect({.address = "unix:///nowhere/s", .version = 4}, "ns",
                                  absl::InfiniteFuture())
                  .status(),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace gantry::gctr
