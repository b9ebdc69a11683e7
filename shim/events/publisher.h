// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/kernel/result.h"
#include "shim/events/event_kind.h"
#include "shim/events/event_queue.h"
#include "shim/events/forwarder.h"
#include "shim/loop/co.h"
#include "shim/loop/event.h"
#include "shim/loop/loop.h"
#include "shim/messages/codec.h"
#include "shim/messages/types.h"
#include "shim/process/children.h"

namespace gantry::shim {

// Where the daemon takes events: what it said at start, else $TTRPC_ADDRESS, else beside its gRPC
// socket. Empty arguments are unknown; the result is empty when all are.
std::string ChooseEventsAddress(const std::string& bootstrap, const std::string& environment,
                                const std::string& grpc);

struct PublisherOptions {
  std::string ns;
  std::string address;  // of the daemon's ttrpc server: a path, or "unix://" and a path
  // Where `address` is empty, this program is run for each event, as `… publish`. Empty too: events
  // go nowhere.
  std::string publish_binary;
  std::string grpc_address;  // for publish_binary

  size_t capacity = 2048;
  Clock::duration attempt_limit = std::chrono::seconds(5);
  Clock::duration first_pause = std::chrono::milliseconds(50);  // after a failure; then it doubles
  Clock::duration longest_pause = std::chrono::seconds(2);
  Clock::duration idle_limit = std::chrono::seconds(30);  // then the connection is closed

  std::function<void(const std::string& message)> log = [](const std::string&) {};
};

// Brings events to the daemon, one after the other in the order of Publish(). Nobody waits for it.
//
// An event is tried until the daemon has taken it, however long it is away. One that it refuses is
// dropped: as invalid at once; otherwise after five times, if the kind may be lost at all. A daemon
// that dies between taking and answering, or answers after attempt_limit, gets an event twice.
//
// Threads: one. Destroy it when pending() is false.
class Publisher {
 public:
  using SystemTime = std::chrono::system_clock::time_point;

  Publisher(Loop& loop, Children& children, PublisherOptions options);
  Publisher(const Publisher&) = delete;

  // An event of messages::Task…, and when it happened.
  template <typename T>
  void Publish(const T& event, SystemTime at = std::chrono::system_clock::now()) {
    Add(KindOf(event), messages::Pack(event), at);
  }

  // Waits until nothing is pending, trying more often; false at the deadline.
  Co<bool> Flush(Time deadline);

  bool pending() const { return running_; }
  bool connected() const { return forwarder_.connected(); }
  size_t queued() const { return queue_.size(); }

 private:
  enum class Outcome { kTaken, kNoAnswer, kRefused, kInvalid };

  void Add(EventKind kind, messages::Any event, SystemTime at);
  Co<void> Run();
  Co<void> Deliver(QueuedEvent event);
  Co<Outcome> Try(const QueuedEvent* event);
  Co<Outcome> Forward(const QueuedEvent* event);
  Co<Outcome> RunPublishBinary(const QueuedEvent* event);
  Co<void> Pause(Clock::duration pause);
  void LogFailure(const std::string& reason);

  Loop& loop_;
  Children& children_;
  const PublisherOptions options_;
  EventQueue queue_;
  Forwarder forwarder_;
  bool running_ = false;
  bool failing_ = false;  // and it was logged
  Event* pause_ = nullptr;
  std::vector<Event*> flushes_;
  Timer idle_;
};

}  // namespace gantry::shim
