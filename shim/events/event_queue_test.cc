// SPDX-License-Identifier: Apache-2.0
#include "shim/events/event_queue.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "shim/messages/codec.h"

namespace gantry::shim {
namespace {

using ::testing::ElementsAre;

template <typename T>
QueuedEvent Make(const std::string& id) {
  T event;
  event.container_id = id;
  return {.kind = KindOf(event), .at = {}, .event = {.type_url = id, .value = {}}};
}

std::vector<std::string> Drain(EventQueue& queue) {
  std::vector<std::string> ids;
  while (!queue.empty()) ids.push_back(queue.TakeFront().event.type_url);
  return ids;
}

TEST(EventQueueTest, FirstInFirstOut) {
  EventQueue queue(3);
  queue.Push(Make<messages::TaskCreate>("a"));
  queue.Push(Make<messages::TaskStart>("b"));
  queue.Push(Make<messages::TaskExit>("c"));
  EXPECT_THAT(Drain(queue), ElementsAre("a", "b", "c"));
  EXPECT_EQ(queue.dropped(), 0U);
}

TEST(EventQueueTest, FullTheOldestOfLeastWorthMakesRoom) {
  EventQueue queue(4);
  queue.Push(Make<messages::TaskCreate>("create"));
  queue.Push(Make<messages::TaskExecStarted>("started 1"));
  queue.Push(Make<messages::TaskPaused>("paused"));
  queue.Push(Make<messages::TaskDelete>("delete"));
  queue.Push(Make<messages::TaskExecAdded>("added"));
  EXPECT_EQ(queue.size(), 4U);
  queue.Push(Make<messages::TaskExit>("exit"));
  queue.Push(Make<messages::TaskOOM>("oom"));
  queue.Push(Make<messages::TaskExit>("exit 2"));
  EXPECT_THAT(Drain(queue), ElementsAre("delete", "exit", "oom", "exit 2"));
  EXPECT_EQ(queue.dropped(), 4U);
}

TEST(EventQueueTest, ExitDeleteAndOomAreNeverDropped) {
  EventQueue queue(2);
  queue.Push(Make<messages::TaskExit>("1"));
  queue.Push(Make<messages::TaskDelete>("2"));
  queue.Push(Make<messages::TaskOOM>("3"));
  queue.Push(Make<messages::TaskStart>("dropped"));
  queue.Push(Make<messages::TaskExit>("4"));
  EXPECT_THAT(Drain(queue), ElementsAre("1", "2", "3", "4"));
  EXPECT_EQ(queue.dropped(), 1U);
}

}  // namespace
}  // namespace gantry::shim
