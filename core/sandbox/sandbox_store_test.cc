// SPDX-License-Identifier: Apache-2.0
#include "core/sandbox/sandbox_store.h"

#include "core/base/testing/fake_clock.h"
#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/sandbox/sandbox_resource.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gantry::sandbox {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

google::protobuf::Any AnyOf(std::string url, std::string value) {
  google::protobuf::Any any;
  any.set_type_url(std::move(url));
  any.set_value(std::move(value));
  return any;
}

class SandboxStoreTest : public ::testing::Test {
 protected:
  SandboxStoreTest()
      : metadata_(*metadata::Metadata::Open(
            {.db = {.path = dir_.path() / "db", .map_size_bytes = 16 << 20, .no_sync = true}},
            clock_)) {}

  static Sandbox Full(std::string id) {
    return {.id = std::move(id),
            .runtime_name = "io.containerd.runc.v2",
            .runtime_options = AnyOf("o", "\xff"),
            .spec = AnyOf("s", "spec"),
            .labels = {{"x", "1"}, {"y", "2"}},
            .extensions = {{"e", AnyOf("e", "one")}},
            .sandboxer = "podsandbox"};
  }

  std::vector<std::string> List(std::vector<std::string> filters) {
    std::vector<std::string> ids;
    const auto listed = store_.List(ctx_, *filters::Parse(filters));
    for (const Sandbox& sandbox : *listed) {
      ids.push_back(sandbox.id);
    }
    return ids;
  }

  testing::TempDir dir_;
  base::FakeClock clock_;
  std::unique_ptr<metadata::Metadata> metadata_;
  SandboxStore store_{*metadata_};
  const Context ctx_{.ns = "ns"};
};

TEST_F(SandboxStoreTest, KeepsARecordByteForByte) {
  ASSERT_THAT(store_.Create(ctx_, Full("s")), IsOk());
  const auto got = store_.Get(ctx_, "s");
  ASSERT_THAT(got, IsOk());
  EXPECT_EQ(got->runtime_options->value(), "\xff");
  EXPECT_EQ(got->spec->value(), "spec");
  EXPECT_THAT(got->labels, ElementsAre(Pair("x", "1"), Pair("y", "2")));
  EXPECT_EQ(got->extensions.at("e").value(), "one");
  EXPECT_EQ(got->sandboxer, "podsandbox");
  EXPECT_EQ(got->created_at, clock_.Now());
  EXPECT_EQ(got->updated_at, clock_.Now());
}

TEST_F(SandboxStoreTest, IdsAreUniqueWithinANamespace) {
  ASSERT_THAT(store_.Create(ctx_, Full("s")), IsOk());
  EXPECT_THAT(store_.Create(ctx_, Full("s")), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(store_.Create({.ns = "other"}, Full("s")), IsOk());
  EXPECT_THAT(store_.Create(ctx_, Full("a/b")), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(SandboxStoreTest, LabelsHaveNoSizeLimit) {
  Sandbox sandbox = Full("s");
  sandbox.labels["long"] = std::string(10'000, 'x');
  EXPECT_THAT(store_.Create(ctx_, sandbox), IsOk());
}

TEST_F(SandboxStoreTest, UpdateWithoutMaskKeepsTheRuntimesName) {
  ASSERT_THAT(store_.Create(ctx_, Full("s")), IsOk());
  Sandbox changed{.id = "s", .runtime_name = "io.containerd.other.v2"};
  EXPECT_THAT(store_.Update(ctx_, changed, {}), StatusIs(absl::StatusCode::kInvalidArgument));
  changed.runtime_name = "io.containerd.runc.v2";
  const auto updated = store_.Update(ctx_, changed, {});
  ASSERT_THAT(updated, IsOk());
  EXPECT_THAT(updated->labels, IsEmpty());
  EXPECT_FALSE(updated->spec.has_value());
  EXPECT_EQ(updated->sandboxer, "podsandbox");
  EXPECT_GT(updated->updated_at, updated->created_at);
}

TEST_F(SandboxStoreTest, UpdateByPathChangesThatAlone) {
  ASSERT_THAT(store_.Create(ctx_, Full("s")), IsOk());
  const Sandbox changed{.id = "s",
                        .runtime_name = "io.containerd.other.v2",
                        .labels = {{"x", "changed"}},
                        .extensions = {{"e", AnyOf("e", "two")}}};
  auto updated = store_.Update(ctx_, changed, {"labels.x", "labels.y", "extensions.e"});
  ASSERT_THAT(updated, IsOk());
  EXPECT_THAT(updated->labels, ElementsAre(Pair("x", "changed")));
  EXPECT_EQ(updated->extensions.at("e").value(), "two");
  EXPECT_EQ(updated->runtime_name, "io.containerd.runc.v2");
  EXPECT_EQ(store_.Update(ctx_, changed, {"runtime"})->runtime_name, "io.containerd.other.v2");
  for (const char* path : {"sandboxer", "sandbox_id", "created_at"}) {
    EXPECT_THAT(store_.Update(ctx_, changed, {"labels", path}),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
  EXPECT_THAT(store_.Update(ctx_, {.id = "absent"}, {}), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(SandboxStoreTest, FiltersSeeIdAndLabels) {
  for (const char* id : {"c", "a", "b"}) {
    Sandbox sandbox = Full(id);
    sandbox.labels = {{"k", std::string(id) == "a" ? "1" : "2"}};
    ASSERT_THAT(store_.Create(ctx_, sandbox), IsOk());
  }
  EXPECT_THAT(List({}), ElementsAre("a", "b", "c"));
  EXPECT_THAT(List({"id==a", "id==c"}), ElementsAre("a", "c"));
  EXPECT_THAT(List({"labels.k==2"}), ElementsAre("b", "c"));
  EXPECT_THAT(List({"sandboxer==podsandbox"}), IsEmpty());
}

TEST_F(SandboxStoreTest, CollectorSeesItAliveWithItsLabels) {
  Sandbox sandbox = Full("s");
  sandbox.labels = {{"containerd.io/gc.ref.content", "sha256:x"}};
  ASSERT_THAT(store_.Create(ctx_, sandbox), IsOk());
  SandboxResource resource;
  const auto txn = metadata_->Read();
  ASSERT_THAT(txn, IsOk());
  const metadata::Node node{metadata::NodeType::kSandbox, ctx_.ns, "s"};
  const auto object = resource.Load(txn->view(), {}, node);
  ASSERT_THAT(object, IsOk());
  ASSERT_TRUE(object->has_value());
  EXPECT_TRUE((*object)->root);
  EXPECT_FALSE((*object)->collectible);
  EXPECT_EQ((*object)->labels, sandbox.labels);
}

TEST_F(SandboxStoreTest, DeleteForgets) {
  ASSERT_THAT(store_.Create(ctx_, Full("s")), IsOk());
  EXPECT_THAT(store_.Delete(ctx_, "s"), IsOk());
  EXPECT_THAT(store_.Delete(ctx_, "s"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(store_.Get(ctx_, "s"), StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace gantry::sandbox
