// SPDX-License-Identifier: Apache-2.0
#include "core/events/exchange.h"

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/testing/fake_clock.h"
#include "core/base/testing/matchers.h"
#include "core/events/topic.h"
#include "gtest/gtest.h"
#include "proto/events/container.pb.h"
#include "proto/events/content.pb.h"
#include "proto/events/image.pb.h"
#include "proto/events/sandbox.pb.h"
#include "proto/events/task.pb.h"
#include "proto/types/event.pb.h"

namespace gantry::events {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

google::protobuf::Any AnyOf(std::string type, std::string value) {
  google::protobuf::Any any;
  any.set_type_url(std::move(type));
  any.set_value(std::move(value));
  return any;
}

class ExchangeTest : public ::testing::Test {
 protected:
  std::unique_ptr<Subscription> Subscribe(std::vector<std::string> filters = {}) {
    const auto filter = filters::Parse(filters);
    EXPECT_THAT(filter, IsOk());
    return exchange_.Subscribe(*filter);
  }

  absl::Status PublishText(const std::string& topic, std::string text) {
    return exchange_.PublishAny(ctx_, topic, AnyOf("a.B", std::move(text)));
  }

  Envelope Made(const std::string& topic = "/made/up") {
    Envelope envelope;
    envelope.set_namespace_("ns");
    envelope.set_topic(topic);
    envelope.mutable_timestamp()->set_seconds(1'000'000);
    envelope.mutable_timestamp()->set_nanos(42);
    *envelope.mutable_event() = AnyOf("made.Up", "\xff");
    return envelope;
  }

  // What waits for the subscriber, as "<namespace> <topic>".
  static std::vector<std::string> Drain(Subscription& subscription) {
    std::vector<std::string> seen;
    while (auto next = subscription.Poll([] {})) {
      if (!next->ok()) {
        seen.push_back(absl::StatusCodeToString(next->status().code()));
        break;
      }
      seen.push_back((**next)->namespace_() + " " + (**next)->topic());
    }
    return seen;
  }

  // Whether an event reaches a subscriber with that filter.
  bool Passes(const std::string& filter, const google::protobuf::Message& event) {
    const auto subscription = Subscribe({filter});
    EXPECT_THAT(exchange_.Publish(ctx_, "/t/x", event), IsOk());
    return !Drain(*subscription).empty();
  }

  base::FakeClock clock_;
  Exchange exchange_{clock_, {.events = 100, .bytes = 10'000}};
  const Context ctx_{.ns = "ns"};
};

TEST(TopicTest, IsASlashAndIdentifiers) {
  for (const char* bad : {"", "x", "/", "//a", "/a b", "/a/", "/a//b", "/-a", "/a/b..c"}) {
    EXPECT_THAT(ValidateTopic(bad), StatusIs(absl::StatusCode::kInvalidArgument)) << bad;
  }
  for (const char* good : {"/a", "/a/b-c", "/a/b/c_d.e"}) EXPECT_THAT(ValidateTopic(good), IsOk());
}

TEST_F(ExchangeTest, PublishStampsAndDeliversWhatItWasGiven) {
  const auto subscription = Subscribe();
  EXPECT_THAT(PublishText("/a/b", "value"), IsOk());
  const auto next = subscription->Poll([] {});
  ASSERT_TRUE(next && next->ok());
  const Envelope& envelope = ***next;
  EXPECT_EQ(envelope.namespace_(), "ns");
  EXPECT_EQ(envelope.topic(), "/a/b");
  EXPECT_EQ(envelope.event().type_url(), "a.B");
  EXPECT_EQ(envelope.event().value(), "value");
  EXPECT_EQ(envelope.timestamp().seconds(), absl::ToUnixSeconds(clock_.Now()));
  EXPECT_FALSE(subscription->Poll([] {}));
}

TEST_F(ExchangeTest, MessagesArePackedUnderTheirBareName) {
  const auto subscription = Subscribe();
  containerd::events::TaskOOM event;
  event.set_container_id("c");
  EXPECT_THAT(exchange_.Publish(ctx_, "/tasks/oom", event), IsOk());
  const auto next = subscription->Poll([] {});
  ASSERT_TRUE(next && next->ok());
  EXPECT_EQ((**next)->event().type_url(), "containerd.events.TaskOOM");
  EXPECT_EQ((**next)->event().value(), event.SerializeAsString());
}

TEST_F(ExchangeTest, PublishRefusesBadEvents) {
  using enum absl::StatusCode;
  EXPECT_THAT(exchange_.PublishAny({}, "/a", AnyOf("a.B", "")),
              StatusIs(kFailedPrecondition, "namespace is required"));
  EXPECT_THAT(exchange_.PublishAny({.ns = "a..b"}, "/a", AnyOf("a.B", "")),
              StatusIs(kInvalidArgument));
  EXPECT_THAT(PublishText("a", ""), StatusIs(kInvalidArgument));
  EXPECT_THAT(exchange_.PublishAny(ctx_, "/a", AnyOf("", "x")), StatusIs(kInvalidArgument));
}

TEST_F(ExchangeTest, ForwardKeepsTheEnvelopeAndChecksIt) {
  const auto forward = [&](auto spoil) {
    Envelope envelope = Made();
    spoil(envelope);
    return exchange_.Forward(std::move(envelope));
  };
  const auto refused = StatusIs(absl::StatusCode::kInvalidArgument);
  const auto subscription = Subscribe();
  EXPECT_THAT(forward([](Envelope& e) { e.clear_namespace_(); }), refused);
  EXPECT_THAT(forward([](Envelope& e) { e.set_namespace_("a..b"); }), refused);
  EXPECT_THAT(forward([](Envelope& e) { e.set_topic("x"); }), refused);
  EXPECT_THAT(forward([](Envelope& e) { e.clear_timestamp(); }), refused);
  EXPECT_THAT(forward([](Envelope& e) {
                e.mutable_timestamp()->set_seconds(-62135596800);
                e.mutable_timestamp()->set_nanos(0);
              }),
              refused);
  EXPECT_THAT(forward([](Envelope& e) { e.clear_event(); }), refused);
  EXPECT_THAT(Drain(*subscription), IsEmpty());
  EXPECT_THAT(forward([](Envelope&) {}), IsOk());
  const auto next = subscription->Poll([] {});
  ASSERT_TRUE(next && next->ok());
  EXPECT_EQ((**next)->SerializeAsString(), Made().SerializeAsString());
}

TEST_F(ExchangeTest, FiltersSelectByNamespaceAndTopic) {
  const auto all = Subscribe();
  const auto mine = Subscribe({"namespace==ns"});
  const auto tasks = Subscribe({R"(topic~="^/tasks/")", "topic==\"/x\""});
  ASSERT_THAT(PublishText("/tasks/start", ""), IsOk());
  ASSERT_THAT(exchange_.PublishAny({.ns = "other"}, "/images/create", AnyOf("a.B", "")), IsOk());
  ASSERT_THAT(PublishText("/x", ""), IsOk());
  EXPECT_THAT(Drain(*all), ElementsAre("ns /tasks/start", "other /images/create", "ns /x"));
  EXPECT_THAT(Drain(*mine), ElementsAre("ns /tasks/start", "ns /x"));
  EXPECT_THAT(Drain(*tasks), ElementsAre("ns /tasks/start", "ns /x"));
}

TEST_F(ExchangeTest, FiltersSelectByFieldsOfTheEvent) {
  containerd::events::TaskCreate task;
  task.set_container_id("c1");
  task.set_bundle("/b");
  task.mutable_io()->set_stdout("fifo");
  task.mutable_io()->set_terminal(true);
  task.set_pid(7);
  EXPECT_TRUE(Passes("event.container_id==c1", task));
  EXPECT_TRUE(Passes("event.io.stdout==fifo", task));
  EXPECT_TRUE(Passes("event.io.terminal==true", task));
  EXPECT_FALSE(Passes("event.io.stdin", task));
  EXPECT_FALSE(Passes("event.container_id==c2", task));
  EXPECT_FALSE(Passes("event.pid", task));  // numbers have no text
  EXPECT_FALSE(Passes("event.rootfs", task));
  EXPECT_FALSE(Passes("event", task));
  EXPECT_FALSE(Passes("event.nope", task));

  containerd::events::ContainerCreate container;
  container.mutable_runtime()->set_name("io.containerd.runc.v2");
  EXPECT_TRUE(Passes("event.runtime.name~=runc", container));
  EXPECT_FALSE(Passes("event.runtime", container));

  containerd::services::images::v1::ImageUpdate image;
  (*image.mutable_labels())["a.b/c"] = "x";
  EXPECT_TRUE(Passes(R"(event.labels."a.b/c"==x)", image));
  EXPECT_FALSE(Passes("event.labels.other", image));

  containerd::events::ContentCreate content;
  content.set_mediatype("m");
  EXPECT_TRUE(Passes("event.mediaType==m", content));
  EXPECT_FALSE(Passes("event.size", content));

  containerd::events::SandboxExit sandbox;
  sandbox.set_sandbox_id("s");
  EXPECT_TRUE(Passes("event.sandbox_id==s", sandbox));
}

TEST_F(ExchangeTest, UnknownAndMalformedEventsHaveNoFields) {
  const auto subscription = Subscribe({"event.name", "event.container_id"});
  ASSERT_THAT(exchange_.PublishAny(ctx_, "/a", AnyOf("un.Known", "\x0a\x01x")), IsOk());
  ASSERT_THAT(exchange_.PublishAny(ctx_, "/b", AnyOf("containerd.events.TaskStart", "\xff\xff")),
              IsOk());
  EXPECT_THAT(Drain(*subscription), IsEmpty());
  ASSERT_THAT(
      exchange_.PublishAny(ctx_, "/c",
                           AnyOf("type.googleapis.com/containerd.events.TaskStart", "\x0a\x01x")),
      IsOk());
  EXPECT_THAT(Drain(*subscription), ElementsAre("ns /c"));
}

TEST_F(ExchangeTest, NothingFromBeforeTheSubscriptionIsSeen) {
  ASSERT_THAT(PublishText("/before", ""), IsOk());
  const auto subscription = Subscribe();
  ASSERT_THAT(PublishText("/after", ""), IsOk());
  EXPECT_THAT(Drain(*subscription), ElementsAre("ns /after"));
}

TEST_F(ExchangeTest, ReadyIsCalledOnceAndWithoutLocks) {
  const auto subscription = Subscribe();
  int calls = 0;
  std::vector<std::string> seen;
  ASSERT_FALSE(subscription->Poll([&] {
    ++calls;
    seen = Drain(*subscription);
    Subscribe();  // takes the exchange's lock
  }));
  ASSERT_THAT(PublishText("/a", ""), IsOk());
  EXPECT_EQ(calls, 1);
  EXPECT_THAT(seen, ElementsAre("ns /a"));
  ASSERT_THAT(PublishText("/b", ""), IsOk());  // Drain() left a callback behind that does nothing
  EXPECT_EQ(calls, 1);
  EXPECT_THAT(Drain(*subscription), ElementsAre("ns /b"));
}

TEST_F(ExchangeTest, ASlowSubscriberIsCutOffAndDelaysNobody) {
  const auto slow = Subscribe();
  const auto quick = Subscribe();
  std::vector<std::string> seen;
  for (int i = 0; i < 150; ++i) {
    ASSERT_THAT(PublishText("/a", std::to_string(i)), IsOk());
    for (std::string& event : Drain(*quick)) seen.push_back(std::move(event));
  }
  EXPECT_THAT(seen, SizeIs(150));
  EXPECT_THAT(Drain(*slow), ElementsAre("RESOURCE_EXHAUSTED"));
  EXPECT_THAT(Drain(*slow), ElementsAre("RESOURCE_EXHAUSTED"));
}

TEST_F(ExchangeTest, TheBoundCountsBytesToo) {
  const auto slow = Subscribe();
  ASSERT_THAT(PublishText("/large", std::string(20'000, 'x')), IsOk());  // alone it may exceed it
  EXPECT_THAT(Drain(*slow), ElementsAre("ns /large"));
  ASSERT_THAT(PublishText("/a", std::string(6'000, 'x')), IsOk());
  ASSERT_THAT(PublishText("/b", std::string(6'000, 'x')), IsOk());
  EXPECT_THAT(Drain(*slow), ElementsAre("RESOURCE_EXHAUSTED"));
}

TEST_F(ExchangeTest, CancelAndCloseEndSubscriptions) {
  const auto cancelled = Subscribe();
  int calls = 0;
  ASSERT_FALSE(cancelled->Poll([&] { ++calls; }));
  cancelled->Cancel();
  EXPECT_EQ(calls, 1);
  EXPECT_THAT(Drain(*cancelled), ElementsAre("CANCELLED"));

  const auto open = Subscribe();
  ASSERT_FALSE(open->Poll([&] { ++calls; }));
  exchange_.Close();
  EXPECT_EQ(calls, 2);
  EXPECT_THAT(Drain(*open), ElementsAre("UNAVAILABLE"));
  EXPECT_THAT(Drain(*Subscribe()), ElementsAre("UNAVAILABLE"));
}

TEST(ExchangeOrderTest, ConcurrentPublishersAreSeenInOneOrderByAll) {
  constexpr int kPublishers = 4;
  constexpr int kEvents = 500;
  const base::SystemClock clock;
  Exchange exchange(clock, {.events = kPublishers * kEvents, .bytes = size_t{1} << 30});
  const auto first = exchange.Subscribe(filters::Filter());
  const auto second = exchange.Subscribe(filters::Filter());
  std::vector<std::thread> publishers;
  for (int p = 0; p < kPublishers; ++p) {
    publishers.emplace_back([&exchange, p] {
      for (int i = 0; i < kEvents; ++i) {
        const auto text = std::to_string(p) + ":" + std::to_string(i);
        EXPECT_THAT(exchange.PublishAny({.ns = "ns"}, "/a", AnyOf("a.B", text)), IsOk());
      }
    });
  }
  const auto collect = [](Subscription& subscription) {
    std::vector<std::string> seen;
    while (seen.size() < kPublishers * kEvents) {
      auto ready = std::make_shared<std::atomic<bool>>(false);
      auto next = subscription.Poll([ready] {
        *ready = true;
        ready->notify_one();
      });
      if (next) {
        seen.push_back((**next)->event().value());
      } else {
        ready->wait(false);
      }
    }
    return seen;
  };
  const std::vector<std::string> seen = collect(*first);
  for (std::thread& publisher : publishers) publisher.join();
  EXPECT_EQ(seen, collect(*second));
  std::vector<int> next(kPublishers, 0);
  for (const std::string& event : seen) {
    const size_t publisher = static_cast<size_t>(event[0] - '0');
    EXPECT_EQ(event.substr(2), std::to_string(next[publisher]++));
  }
}

TEST_F(ExchangeTest, AGateSeesWhatComesFromOutsideAndMayDropIt) {
  const auto all = Subscribe();
  exchange_.SetGate([](const Envelope& envelope) { return envelope.topic() != "/t/drop"; });
  ASSERT_THAT(PublishText("/t/drop", ""), IsOk());
  ASSERT_THAT(PublishText("/t/keep", ""), IsOk());
  ASSERT_THAT(exchange_.Forward(Made("/t/drop")), IsOk());
  // The daemon's own events are not its business.
  ASSERT_THAT(exchange_.Publish(ctx_, "/t/drop", containerd::events::TaskExit()), IsOk());
  EXPECT_THAT(Drain(*all), ElementsAre("ns /t/keep", "ns /t/drop"));
  exchange_.SetGate(nullptr);
  ASSERT_THAT(exchange_.Forward(Made("/t/drop")), IsOk());
  EXPECT_THAT(Drain(*all), ElementsAre("ns /t/drop"));
}

TEST_F(ExchangeTest, AGateIsToldWhenAnEventHasBeenPassedOn) {
  const auto all = Subscribe();
  std::vector<std::string> seen;
  exchange_.SetGate([&](const Envelope& envelope) {
    EXPECT_THAT(Drain(*all), ElementsAre());
    return Exchange::Admission(envelope.topic() != "/t/drop", [&] { seen = Drain(*all); });
  });
  ASSERT_THAT(exchange_.Forward(Made("/t/drop")), IsOk());
  EXPECT_THAT(seen, ElementsAre());
  ASSERT_THAT(exchange_.Forward(Made("/t/keep")), IsOk());
  EXPECT_THAT(seen, ElementsAre("ns /t/keep"));
}

TEST_F(ExchangeTest, AGateThatIsTakenAwayIsNotUsedAnyMore) {
  std::promise<void> reached;
  std::promise<void> go_on;
  std::atomic<bool> passed_on = false;
  exchange_.SetGate([&](const Envelope&) {
    reached.set_value();
    go_on.get_future().wait();
    return Exchange::Admission(true, [&] { passed_on = true; });
  });
  std::thread publisher([&] { EXPECT_THAT(exchange_.Forward(Made("/t/late")), IsOk()); });
  reached.get_future().wait();
  auto taken_away = std::async(std::launch::async, [&] {
    exchange_.SetGate(nullptr);
    return passed_on.load();
  });
  EXPECT_EQ(taken_away.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  go_on.set_value();
  EXPECT_TRUE(taken_away.get());
  publisher.join();
}

}  // namespace
}  // namespace gantry::events
