// SPDX-License-Identifier: Apache-2.0
#include "core/events/exchange.h"

#include <string>
#include <vector>

#include "core/base/testing/fake_clock.h"
#include "core/base/testing/matchers.h"
#include "gtest/gtest.h"
#include "proto/events/container.pb.h"
#include "proto/events/content.pb.h"
#include "proto/events/task.pb.h"

namespace gantry::events {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::ElementsAre;

class ExchangeTest : public ::testing::Test {
 protected:
  std::shared_ptr<Subscription> Subscribe(std::vector<std::string> filters = {}) {
    auto subscription = exchange_.Subscribe(filters);
    EXPECT_THAT(subscription, IsOk());
    return *subscription;
  }

  absl::Status PublishExit(const std::string& ns, const std::string& id) {
    containerd::events::TaskExit event;
    event.set_container_id(id);
    return exchange_.Publish({.ns = ns}, "/tasks/exit", event);
  }

  // All that is queued, as "<namespace> <topic>".
  static std::vector<std::string> Drain(Subscription& subscription) {
    std::vector<std::string> all;
    for (;;) {
      auto event = subscription.Next({});
      if (!event.ok() || *event == nullptr) return all;
      all.push_back((*event)->namespace_() + " " + (*event)->topic());
    }
  }

  base::FakeClock clock_;
  Exchange exchange_{clock_, 4};
};

TEST_F(ExchangeTest, TopicsAreCheckedComponentByComponent) {
  for (const char* bad : {"x", "", "/", "//a", "/a b", "/a/"}) {
    EXPECT_THAT(ValidateTopic(bad), StatusIs(absl::StatusCode::kInvalidArgument)) << bad;
  }
  EXPECT_THAT(ValidateTopic("/a/b-c"), IsOk());
}

TEST_F(ExchangeTest, DeliversInOrderAcrossNamespacesWithTheBareTypeName) {
  auto all = Subscribe();
  auto one = Subscribe({"namespace==b"});
  ASSERT_THAT(PublishExit("a", "1"), IsOk());
  ASSERT_THAT(PublishExit("b", "2"), IsOk());
  auto first = all->Next({});
  ASSERT_THAT(first, IsOk());
  EXPECT_EQ((*first)->event().type_url(), "containerd.events.TaskExit");
  EXPECT_EQ((*first)->timestamp().seconds(), absl::ToUnixSeconds(clock_.Now()));
  EXPECT_THAT(Drain(*all), ElementsAre("b /tasks/exit"));
  EXPECT_THAT(Drain(*one), ElementsAre("b /tasks/exit"));
}

TEST_F(ExchangeTest, FiltersLookIntoTheEvent) {
  auto by_id = Subscribe({"event.container_id==web"});
  auto by_topic = Subscribe({R"(topic~="^/containers/")"});
  auto by_runtime = Subscribe({"event.runtime.name==r"});
  auto by_media = Subscribe({"event.mediaType==m"});
  ASSERT_THAT(PublishExit("a", "web"), IsOk());
  ASSERT_THAT(PublishExit("a", "db"), IsOk());
  containerd::events::ContainerCreate create;
  create.set_id("c");
  create.mutable_runtime()->set_name("r");
  ASSERT_THAT(exchange_.Publish({.ns = "a"}, "/containers/create", create), IsOk());
  containerd::events::ContentCreate content;
  content.set_mediatype("m");
  ASSERT_THAT(exchange_.Publish({.ns = "a"}, "/content/create", content), IsOk());
  EXPECT_THAT(Drain(*by_id), ElementsAre("a /tasks/exit"));
  EXPECT_THAT(Drain(*by_topic), ElementsAre("a /containers/create"));
  EXPECT_THAT(Drain(*by_runtime), ElementsAre("a /containers/create"));
  EXPECT_THAT(Drain(*by_media), ElementsAre("a /content/create"));
}

TEST_F(ExchangeTest, AStalledSubscriberEndsAtItsBoundAndDelaysNobody) {
  auto stalled = Subscribe();
  auto reader = Subscribe();
  for (int i = 0; i < 6; ++i) {
    ASSERT_THAT(PublishExit("a", std::to_string(i)), IsOk());
    EXPECT_EQ(Drain(*reader).size(), 1U);
  }
  EXPECT_EQ(Drain(*stalled).size(), 4U);
  EXPECT_THAT(stalled->Next({}), StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST_F(ExchangeTest, AWaitingReaderIsWokenOnce) {
  auto subscription = Subscribe();
  int woken = 0;
  ASSERT_THAT(subscription->Next([&] { ++woken; }), IsOk());
  ASSERT_THAT(PublishExit("a", "1"), IsOk());
  ASSERT_THAT(PublishExit("a", "2"), IsOk());
  EXPECT_EQ(woken, 1);
}

TEST_F(ExchangeTest, ForwardKeepsTimeAndNamespaceAndChecksThem) {
  auto subscription = Subscribe();
  Envelope envelope;
  envelope.set_namespace_("shim");
  envelope.set_topic("/tasks/oom");
  EXPECT_THAT(exchange_.Forward(envelope), StatusIs(absl::StatusCode::kInvalidArgument));
  envelope.mutable_timestamp()->set_seconds(7);
  EXPECT_THAT(exchange_.Forward(envelope), IsOk());
  auto event = subscription->Next({});
  ASSERT_THAT(event, IsOk());
  EXPECT_EQ((*event)->timestamp().seconds(), 7);
  envelope.set_namespace_("a..b");
  EXPECT_THAT(exchange_.Forward(envelope), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(ExchangeTest, ClosingEndsSubscriptions) {
  auto subscription = Subscribe();
  exchange_.Close();
  EXPECT_THAT(subscription->Next({}), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(exchange_.Subscribe({}), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(ExchangeTest, AnEventWithoutTypeIsRefused) {
  EXPECT_THAT(exchange_.PublishAny({.ns = "a"}, "/x", {}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(exchange_.PublishAny({}, "/x", {}), StatusIs(absl::StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace gantry::events
