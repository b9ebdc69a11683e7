// SPDX-License-Identifier: Apache-2.0
#include "core/events/exchange.h"

#include <google/protobuf/timestamp.pb.h>

#include <algorithm>
#include <utility>

#include "absl/time/time.h"
#include "core/base/identifiers.h"
#include "core/base/status.h"
#include "core/events/event_fields.h"
#include "core/events/topic.h"
#include "proto/types/event.pb.h"

namespace gantry::events {
namespace {

// Go's zero time, the first moment of year 1; what a Go client sends for a time it did not set.
constexpr int64_t kGoZeroSeconds = -62135596800;

bool IsZero(const google::protobuf::Timestamp& time) {
  return time.seconds() == kGoZeroSeconds && time.nanos() == 0;
}

void SetTime(google::protobuf::Timestamp& timestamp, absl::Time time) {
  const timespec spec = absl::ToTimespec(time);
  timestamp.set_seconds(spec.tv_sec);
  timestamp.set_nanos(static_cast<int32_t>(spec.tv_nsec));
}

absl::Status Validate(const Envelope& envelope) {
  RETURN_IF_ERROR(Annotate(ValidateIdentifier(envelope.namespace_()), "event namespace"));
  RETURN_IF_ERROR(ValidateTopic(envelope.topic()));
  if (!envelope.has_timestamp() || IsZero(envelope.timestamp())) {
    return InvalidArgument("event timestamp must be set");
  }
  if (envelope.event().type_url().empty()) return InvalidArgument("event must have a type");
  return absl::OkStatus();
}

std::optional<std::string> FieldOf(const Envelope& envelope, EventFields& event,
                                   filters::FieldPath path) {
  if (path[0] == "namespace") return filters::NonEmpty(envelope.namespace_());
  if (path[0] == "topic") return filters::NonEmpty(envelope.topic());
  if (path[0] == "event") return event.Find(path.subspan(1));
  return std::nullopt;
}

}  // namespace

absl::Status Exchange::Publish(const Context& ctx, std::string_view topic,
                               const google::protobuf::Message& event) {
  google::protobuf::Any packed;
  packed.set_type_url(event.GetDescriptor()->full_name());
  if (!event.SerializeToString(packed.mutable_value())) {
    return InvalidArgument("event of type {} cannot be serialized", packed.type_url());
  }
  ASSIGN_OR_RETURN(Envelope envelope, Wrap(ctx, topic, std::move(packed)));
  Deliver(std::move(envelope));
  return absl::OkStatus();
}

absl::StatusOr<Envelope> Exchange::Wrap(const Context& ctx, std::string_view topic,
                                        google::protobuf::Any event) const {
  if (ctx.ns.empty()) return FailedPrecondition("namespace is required");
  Envelope envelope;
  envelope.set_namespace_(ctx.ns);
  envelope.set_topic(std::string(topic));
  *envelope.mutable_event() = std::move(event);
  SetTime(*envelope.mutable_timestamp(), clock_.Now());
  RETURN_IF_ERROR(Validate(envelope));
  return envelope;
}

absl::Status Exchange::PublishAny(const Context& ctx, std::string_view topic,
                                  google::protobuf::Any event) {
  ASSIGN_OR_RETURN(Envelope envelope, Wrap(ctx, topic, std::move(event)));
  PassOn(std::move(envelope));
  return absl::OkStatus();
}

absl::Status Exchange::Forward(Envelope envelope) {
  RETURN_IF_ERROR(Validate(envelope));
  PassOn(std::move(envelope));
  return absl::OkStatus();
}

// Uses the gate there is, which is kept for as long.
class Exchange::InGate {
 public:
  explicit InGate(Exchange& exchange) : exchange_(exchange) {
    base::MutexLock lock(exchange_.mutex_);
    gate_ = exchange_.gate_;
    if (gate_ != nullptr) ++exchange_.in_gate_;
  }
  InGate(const InGate&) = delete;
  ~InGate() {
    if (gate_ == nullptr) return;
    base::MutexLock lock(exchange_.mutex_);
    if (--exchange_.in_gate_ == 0) exchange_.out_of_gate_.NotifyAll();
  }

  Admission Admit(const Envelope& envelope) const {
    return gate_ == nullptr ? Admission(true) : (*gate_)(envelope);
  }

 private:
  Exchange& exchange_;
  std::shared_ptr<const Gate> gate_;
};

void Exchange::PassOn(Envelope envelope) {
  const InGate in_gate(*this);
  const Admission admission = in_gate.Admit(envelope);
  if (!admission.pass) return;
  Deliver(std::move(envelope));
  if (admission.passed_on) admission.passed_on();
}

void Exchange::SetGate(Gate gate) {
  auto shared = gate ? std::make_shared<const Gate>(std::move(gate)) : nullptr;
  base::MutexLock lock(mutex_);
  gate_.swap(shared);
  while (in_gate_ > 0) out_of_gate_.Wait(mutex_);
}

void Exchange::Deliver(Envelope envelope) {
  const auto event = std::make_shared<const Envelope>(std::move(envelope));
  const size_t bytes = event->ByteSizeLong();
  std::shared_ptr<const Queues> queues;
  {
    base::MutexLock lock(mutex_);
    queues = queues_;
  }
  EventFields fields(event->event());
  Queues matching;
  std::ranges::copy_if(*queues, std::back_inserter(matching), [&](const auto& queue) {
    return queue->filter().Matches(
        [&](filters::FieldPath path) { return FieldOf(*event, fields, path); });
  });

  std::vector<Queue::Ready> waiting;
  {
    base::MutexLock lock(mutex_);  // One event after the other: all subscribers see one order.
    for (const auto& queue : matching) {
      if (Queue::Ready ready = queue->Push(event, bytes)) waiting.push_back(std::move(ready));
    }
  }
  for (Queue::Ready& ready : waiting) ready();
}

std::unique_ptr<Subscription> Exchange::Subscribe(filters::Filter filter) {
  auto queue = std::make_shared<Queue>(std::move(filter), limits_);
  auto subscription = std::make_unique<Subscription>(*this, queue);
  bool closed = false;
  {
    base::MutexLock lock(mutex_);
    closed = closed_;
    auto queues = std::make_shared<Queues>(*queues_);
    queues->push_back(queue);
    queues_ = std::move(queues);
  }
  if (closed) queue->End(Unavailable("events are shutting down"));
  return subscription;
}

void Exchange::Remove(const Queue& queue) {
  base::MutexLock lock(mutex_);
  auto queues = std::make_shared<Queues>(*queues_);
  std::erase_if(*queues, [&](const auto& other) { return other.get() == &queue; });
  queues_ = std::move(queues);
}

void Exchange::Close() {
  std::shared_ptr<const Queues> queues;
  {
    base::MutexLock lock(mutex_);
    closed_ = true;
    queues = queues_;
  }
  for (const auto& queue : *queues) queue->End(Unavailable("events are shutting down"));
}

plugin::Registration ExchangePlugin(const base::Clock& clock) {
  return plugin::Provide(
      kExchange,
      plugin::Spec<Exchange>{
          .id = "exchange",
          .init = [&clock](plugin::InitContext&) -> absl::StatusOr<std::unique_ptr<Exchange>> {
            return std::make_unique<Exchange>(clock);
          }});
}

}  // namespace gantry::events
