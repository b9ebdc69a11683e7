// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/any.pb.h>

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "core/base/context.h"
#include "core/base/mutex.h"
#include "core/events/publisher.h"
#include "core/events/subscription.h"
#include "core/filters/filter.h"
#include "core/plugin/plugin.h"

namespace gantry::events {

// Where events of the daemon, of clients and of shims meet their subscribers. Keeps no history: who
// must not miss anything subscribes first and lists then.
//
// All subscribers see all events in one order, in which each publisher's events keep theirs.
//
// Threads:   all methods from any thread. Publishing never blocks on a subscriber: one that is too
//            slow is cut off. Subscribers are called with no lock held.
// Lock order: the exchange's mutex before a queue's.
class Exchange final : public Publisher {
 public:
  explicit Exchange(const base::Clock& clock, QueueLimits limits = {})
      : clock_(clock), limits_(limits) {}
  ~Exchange() override { Close(); }

  absl::Status Publish(const Context& ctx, std::string_view topic,
                       const google::protobuf::Message& event) override;

  // An event that is packed already, stamped with the current time. FailedPrecondition without a
  // namespace, InvalidArgument for a bad namespace or topic or an event without a type.
  absl::Status PublishAny(const Context& ctx, std::string_view topic, google::protobuf::Any event);

  // An event that has its envelope: namespace, topic and time stay as they are. InvalidArgument for
  // a bad namespace or topic, a time that is absent or zero, an event without a type.
  absl::Status Forward(Envelope envelope);

  // What becomes of an event: whether it is passed on, and what is called once it has been.
  struct Admission {
    Admission(bool passes, std::function<void()> then = nullptr)  // NOLINT: yes or no will do
        : pass(passes), passed_on(std::move(then)) {}
    bool pass;
    std::function<void()> passed_on;
  };

  // Shows each event that a client or a shim brings to `gate` before it is passed on, or dropped.
  // Events of Publish() pass unseen. `gate` and what it answers are called on the publisher's
  // thread and must return at once. The gate before is not used any more when this returns; it is
  // not to be called from a gate.
  using Gate = std::function<Admission(const Envelope&)>;
  void SetGate(Gate gate);

  // From the return on no matching event is missed.
  std::unique_ptr<Subscription> Subscribe(filters::Filter filter);

  // Ends all subscriptions, those to come included, with Unavailable. Idempotent.
  void Close();

 private:
  friend class Subscription;
  using Queues = std::vector<std::shared_ptr<Queue>>;

  absl::StatusOr<Envelope> Wrap(const Context& ctx, std::string_view topic,
                                google::protobuf::Any event) const;
  void PassOn(Envelope envelope);
  class InGate;
  void Remove(const Queue& queue);
  void Deliver(Envelope envelope);

  const base::Clock& clock_;
  const QueueLimits limits_;
  base::Mutex mutex_;
  std::shared_ptr<const Queues> queues_ ABSL_GUARDED_BY(mutex_) = std::make_shared<const Queues>();
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<const Gate> gate_ ABSL_GUARDED_BY(mutex_);  // null: all may pass
  size_t in_gate_ ABSL_GUARDED_BY(mutex_) = 0;                // events that it is used for
  base::CondVar out_of_gate_;
};

inline constexpr plugin::Kind<Exchange> kExchange{"io.containerd.event.v1"};

// The exchange as plugin exchange. `clock` outlives it.
plugin::Registration ExchangePlugin(const base::Clock& clock);

}  // namespace gantry::events
