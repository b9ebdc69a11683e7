// SPDX-License-Identifier: Apache-2.0
#include "proxies/diff/remote_differ.h"

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gantry::proxies {
namespace {

namespace pb = ::containerd::services::diff::v1;
using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::ElementsAre;

// Keeps what it was asked, and answers with one descriptor or one failure.
class FakeDiffer final : public pb::Diff::Service {
 public:
  grpc::Status Apply(grpc::ServerContext* call, const pb::ApplyRequest* request,
                     pb::ApplyResponse* response) override {
    applied = *request;
    saw_lease = call->client_metadata().contains("containerd-lease");
    response->mutable_applied()->set_digest("sha256:a");
    response->mutable_applied()->set_size(7);
    return answer;
  }
  grpc::Status Diff(grpc::ServerContext*, const pb::DiffRequest* request,
                    pb::DiffResponse* response) override {
    compared = *request;
    response->mutable_diff()->set_digest("sha256:b");
    return answer;
  }

  pb::ApplyRequest applied;
  pb::DiffRequest compared;
  bool saw_lease = false;
  grpc::Status answer;
};

class RemoteDifferTest : public ::testing::Test {
 protected:
  RemoteDifferTest() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + socket_, grpc::InsecureServerCredentials());
    builder.RegisterService(&fake_);
    server_ = builder.BuildAndStart();
  }

  testing::TempDir dir_;
  const std::string socket_ = (dir_.path() / "s").string();
  FakeDiffer fake_;
  std::unique_ptr<grpc::Server> server_;
  RemoteDiffer differ_{"remote", socket_};
  const Context ctx_{.ns = "ns", .lease = "l"};
};

TEST_F(RemoteDifferTest, HandsOnAllThatItIsAsked) {
  google::protobuf::Any payload;
  payload.set_type_url("t");
  const auto applied = differ_.Apply(
      ctx_, {.media_type = "m", .digest = "d", .size = 3, .annotations = {{"a", "b"}}},
      {{.type = "overlay", .source = "s", .target = "t", .options = {"x", "y"}}},
      {.payloads = {{"p", payload.SerializeAsString()}}, .sync_fs = true});
  ASSERT_THAT(applied, IsOk());
  EXPECT_EQ(applied->digest, "sha256:a");
  EXPECT_EQ(applied->size, 7);
  EXPECT_EQ(fake_.applied.diff().annotations().at("a"), "b");
  EXPECT_THAT(fake_.applied.mounts(0).options(), ElementsAre("x", "y"));
  EXPECT_EQ(fake_.applied.payloads().at("p").type_url(), "t");
  EXPECT_TRUE(fake_.applied.sync_fs());
  EXPECT_FALSE(fake_.saw_lease);

  const auto compared =
      differ_.Compare(ctx_, {{.type = "bind", .source = "l"}}, {{.type = "bind", .source = "r"}},
                      {.media_type = "m",
                       .ref = "ref",
                       .labels = {{"k", "v"}},
                       .source_date_epoch = absl::FromUnixSeconds(9) + absl::Nanoseconds(5)});
  ASSERT_THAT(compared, IsOk());
  EXPECT_EQ(compared->digest, "sha256:b");
  EXPECT_EQ(fake_.compared.left(0).source(), "l");
  EXPECT_EQ(fake_.compared.right(0).source(), "r");
  EXPECT_EQ(fake_.compared.ref(), "ref");
  EXPECT_EQ(fake_.compared.labels().at("k"), "v");
  EXPECT_EQ(fake_.compared.source_date_epoch().seconds(), 9);
  EXPECT_EQ(fake_.compared.source_date_epoch().nanos(), 5);
}

TEST_F(RemoteDifferTest, FailuresKeepTheirCodes) {
  fake_.answer = {grpc::StatusCode::UNIMPLEMENTED, "not mine"};
  EXPECT_THAT(differ_.Apply(ctx_, {}, {}, {}), StatusIs(absl::StatusCode::kUnimplemented));
  EXPECT_THAT(differ_.Apply(ctx_, {}, {}, {.payloads = {{"p", "\xff"}}}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  server_->Shutdown();
  EXPECT_THAT(differ_.Compare(ctx_, {}, {}, {}), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(RemoteDiffer("busy", socket_, {.max_calls = 0}).Compare(ctx_, {}, {}, {}),
              StatusIs(absl::StatusCode::kUnavailable, ::testing::HasSubstr("wait for it")));
}

}  // namespace
}  // namespace gantry::proxies
