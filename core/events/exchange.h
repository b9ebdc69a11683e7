// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "core/base/clock.h"
#include "core/base/context.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/events/publisher.h"
#include "core/filters/filter.h"
#include "core/plugin/plugin.h"
#include "proto/types/event.pb.h"

namespace gantry::events {

using Envelope = ::containerd::types::Envelope;

// One subscriber's queue. Events come in publish order. At its bound the queue takes no more and
// ends with ResourceExhausted, so that a stalled reader costs bounded memory and never misses an
// event in silence.
//
// Threads: Next() and Cancel() from any thread.
class Subscription {
 public:
  using Ready = absl::AnyInvocable<void()>;

  Subscription(filters::Filter filter, size_t limit) : filter_(std::move(filter)), limit_(limit) {}

  // The next event, or nothing if there is none yet; then `ready` is called once, when Next() may
  // have something to tell, on the publisher's thread: it must return at once. The error ends the
  // subscription.
  absl::StatusOr<std::shared_ptr<const Envelope>> Next(Ready ready);

  // Ends the subscription with this status; events not read yet are dropped.
  void Cancel(absl::Status status);

 private:
  friend class Exchange;
  // Queues the event if the filter matches.
  void Offer(const std::shared_ptr<const Envelope>& event);

  const filters::Filter filter_;
  const size_t limit_;
  base::Mutex mutex_;
  std::deque<std::shared_ptr<const Envelope>> queue_ ABSL_GUARDED_BY(mutex_);
  absl::Status end_ ABSL_GUARDED_BY(mutex_) = absl::OkStatus();
  Ready ready_ ABSL_GUARDED_BY(mutex_);
};

// Passes events on to those who subscribed, across namespaces.
//
// Threads: all methods from any thread. Publishing never waits for a subscriber.
class Exchange final : public Publisher {
 public:
  // Events that may wait for one subscriber.
  static constexpr size_t kDefaultLimit = 65536;

  explicit Exchange(const base::Clock& clock, size_t limit = kDefaultLimit)
      : clock_(clock), limit_(limit) {}
  // Ends all subscriptions with Unavailable.
  ~Exchange() override { Close(); }

  absl::Status Publish(const Context& ctx, std::string_view topic,
                       const google::protobuf::Message& event) override;

  // An event that a client made: InvalidArgument for a bad topic, namespace, or an Any without
  // type.
  absl::Status PublishAny(const Context& ctx, std::string_view topic,
                          const google::protobuf::Any& event);

  // Sends an envelope as it is. InvalidArgument for a bad namespace or topic, or a zero timestamp.
  absl::Status Forward(const Envelope& envelope);

  // From here on no matching event is missed. InvalidArgument for a bad filter.
  absl::StatusOr<std::shared_ptr<Subscription>> Subscribe(const std::vector<std::string>& filters);

  void Close();

 private:
  void Send(std::shared_ptr<const Envelope> envelope);

  const base::Clock& clock_;
  const size_t limit_;
  base::Mutex mutex_;
  std::list<std::weak_ptr<Subscription>> subscriptions_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

// Starts with '/', components are identifiers. InvalidArgument otherwise.
absl::Status ValidateTopic(std::string_view topic);

// The value of a filter field of an event: namespace, topic, event.<field> by the decoded message.
std::optional<std::string> EventField(const Envelope& envelope, filters::FieldPath path);

inline constexpr plugin::Kind<Exchange> kExchange{"io.containerd.event.v1"};

// The exchange as plugin exchange. `clock` outlives it.
plugin::Registration ExchangePlugin(const base::Clock& clock);

}  // namespace gantry::events
