// SPDX-License-Identifier: Apache-2.0
#include "core/plugin/plugin.h"

#include <memory>
#include <string>
#include <vector>

#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/plugin/graph.h"
#include "gtest/gtest.h"

namespace gantry::config {
class Section {};
}  // namespace gantry::config

namespace gantry::plugin {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Store {
  Store() = default;
  Store(std::string name, std::vector<std::string>* closed)
      : name(std::move(name)), closed(closed) {}
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  std::string name;
  std::vector<std::string>* closed = nullptr;
  ~Store() {
    if (closed != nullptr) closed->push_back(name);
  }
};

constexpr Kind<Store> kStore{"io.containerd.store.v1"};
constexpr Kind<Store> kUser{"io.containerd.user.v1"};

class GraphTest : public ::testing::Test {
 protected:
  Registration Make(const Kind<Store>& kind, std::string id,
                    std::vector<std::string_view> needs = {},
                    absl::Status status = absl::OkStatus()) {
    return Provide(
        kind, Spec<Store>{.id = id,
                          .needs = std::move(needs),
                          .init = [this, id,
                                   status](InitContext&) -> absl::StatusOr<std::unique_ptr<Store>> {
                            started_.push_back(id);
                            if (!status.ok()) return status;
                            return std::make_unique<Store>(id, &closed_);
                          }});
  }

  absl::Status Start(std::vector<Registration> all, GraphOptions options = {}) {
    graph_ = std::make_unique<Graph>(std::move(options));
    return graph_->Start(
        all, [this](std::string_view, std::string_view) -> config::Section& { return section_; });
  }

  config::Section section_;
  std::vector<std::string> started_;
  std::vector<std::string> closed_;
  std::unique_ptr<Graph> graph_;
};

TEST_F(GraphTest, StartsNeedsFirstAndClosesInReverse) {
  ASSERT_THAT(Start({Make(kUser, "u", {kStore.uri}), Make(kStore, "s")}), IsOk());
  EXPECT_THAT(started_, ElementsAre("s", "u"));
  EXPECT_THAT(graph_->Get(kStore), IsOk());
  graph_->Close();
  EXPECT_THAT(closed_, ElementsAre("u", "s"));
}

TEST_F(GraphTest, ANeedMayNameOnePluginOfAKind) {
  const std::string one = std::string(kStore.uri) + ".first";
  ASSERT_THAT(
      Start({Make(kStore, "last", {kUser.uri}), Make(kUser, "u", {one}), Make(kStore, "first")}),
      IsOk());
  EXPECT_THAT(started_, ElementsAre("first", "u", "last"));
}

TEST_F(GraphTest, AFailedPluginIsListedAndTheOthersRun) {
  ASSERT_THAT(Start({Make(kStore, "bad", {}, Internal("disk")), Make(kStore, "good"),
                     Make(kUser, "skipped", {}, Skip("no btrfs"))}),
              IsOk());
  EXPECT_EQ(graph_->entries().size(), 3U);
  EXPECT_THAT(graph_->Get(kStore), IsOk());
  EXPECT_THAT(graph_->Get(kStore, "bad"), StatusIs(absl::StatusCode::kInternal, HasSubstr("disk")));
  EXPECT_TRUE(graph_->entries()[2]->skipped());
}

TEST_F(GraphTest, ARequiredPluginMustStart) {
  EXPECT_THAT(Start({Make(kStore, "bad", {}, Internal("disk"))},
                    {.required = {"io.containerd.store.v1.bad"}}),
              StatusIs(absl::StatusCode::kInternal));
  EXPECT_THAT(Start({}, {.required = {"io.containerd.store.v1.absent"}}),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(GraphTest, ADisabledPluginDoesNotStart) {
  ASSERT_THAT(Start({Make(kStore, "s")}, {.disabled = {"io.containerd.store.v1.s"}}), IsOk());
  EXPECT_THAT(graph_->Get(kStore), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(GraphTest, CyclesAndRepeatedNamesAreRefused) {
  EXPECT_THAT(Start({Make(kUser, "u", {kStore.uri}), Make(kStore, "s", {kUser.uri})}),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(Start({Make(kStore, "s"), Make(kStore, "s")}),
              StatusIs(absl::StatusCode::kAlreadyExists));
}

TEST_F(GraphTest, FoldersArePrivateToThePlugin) {
  testing::TempDir dir;
  std::string made;
  auto folder = Provide(
      kStore, Spec<Store>{.id = "s",
                          .init = [&](InitContext& init) -> absl::StatusOr<std::unique_ptr<Store>> {
                            ASSIGN_OR_RETURN(made, init.root());
                            return std::make_unique<Store>();
                          }});
  ASSERT_THAT(Start({folder}, {.root = dir.path(), .state = dir.path()}), IsOk());
  EXPECT_EQ(made, dir.path() / "io.containerd.store.v1.s");
  EXPECT_EQ(std::filesystem::status(made).permissions(), std::filesystem::perms::owner_all);
}

}  // namespace
}  // namespace gantry::plugin
