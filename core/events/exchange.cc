// SPDX-License-Identifier: Apache-2.0
#include "core/events/exchange.h"

#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "core/base/identifiers.h"

namespace gantry::events {
namespace {

google::protobuf::Timestamp ToTimestamp(absl::Time time) {
  const int64_t seconds = absl::ToUnixSeconds(time);
  google::protobuf::Timestamp proto;
  proto.set_seconds(seconds);
  proto.set_nanos(
      static_cast<int32_t>((time - absl::FromUnixSeconds(seconds)) / absl::Nanoseconds(1)));
  return proto;
}

}  // namespace

absl::Status ValidateTopic(std::string_view topic) {
  if (!topic.starts_with('/')) return InvalidArgument("topic {:?} must start with '/'", topic);
  if (topic.size() == 1)
    return InvalidArgument("topic {:?} must have at least one component", topic);
  topic.remove_prefix(1);
  for (const absl::string_view part :
       absl::StrSplit(absl::string_view(topic.data(), topic.size()), '/')) {
    RETURN_IF_ERROR(
        Annotate(ValidateIdentifier({part.data(), part.size()}), fmt::format("topic /{}", topic)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const Envelope>> Subscription::Next(Ready ready) {
  base::MutexLock lock(mutex_);
  if (!queue_.empty()) {
    std::shared_ptr<const Envelope> event = std::move(queue_.front());
    queue_.pop_front();
    return event;
  }
  if (!end_.ok()) return end_;
  ready_ = std::move(ready);
  return nullptr;
}

void Subscription::Cancel(absl::Status status) {
  Ready ready;
  {
    base::MutexLock lock(mutex_);
    if (!end_.ok()) return;
    end_ = std::move(status);
    queue_.clear();
    ready = std::exchange(ready_, nullptr);
  }
  if (ready) std::move(ready)();
}

void Subscription::Offer(const std::shared_ptr<const Envelope>& event) {
  if (!filter_.Matches([&](filters::FieldPath path) { return EventField(*event, path); })) return;
  Ready ready;
  {
    base::MutexLock lock(mutex_);
    if (!end_.ok()) return;
    if (queue_.size() >= limit_) {
      // What is queued is still told; then the reader learns that it fell behind.
      end_ = ResourceExhausted("subscriber is {} events behind", limit_);
    } else {
      queue_.push_back(event);
    }
    ready = std::exchange(ready_, nullptr);
  }
  if (ready) std::move(ready)();
}

absl::Status Exchange::Publish(const Context& ctx, std::string_view topic,
                               const google::protobuf::Message& event) {
  google::protobuf::Any any;
  any.set_type_url(event.GetTypeName());
  any.set_value(event.SerializeAsString());
  return PublishAny(ctx, topic, any);
}

absl::Status Exchange::PublishAny(const Context& ctx, std::string_view topic,
                                  const google::protobuf::Any& event) {
  if (ctx.ns.empty()) return FailedPrecondition("namespace is required");
  RETURN_IF_ERROR(ValidateIdentifier(ctx.ns));
  RETURN_IF_ERROR(ValidateTopic(topic));
  if (event.type_url().empty()) return InvalidArgument("event for topic {} has no type", topic);
  auto envelope = std::make_shared<Envelope>();
  *envelope->mutable_timestamp() = ToTimestamp(clock_.Now());
  envelope->set_namespace_(ctx.ns);
  envelope->set_topic(std::string(topic));
  *envelope->mutable_event() = event;
  Send(std::move(envelope));
  return absl::OkStatus();
}

absl::Status Exchange::Forward(const Envelope& envelope) {
  RETURN_IF_ERROR(Annotate(ValidateIdentifier(envelope.namespace_()), "event envelope"));
  RETURN_IF_ERROR(ValidateTopic(envelope.topic()));
  if (envelope.timestamp().seconds() == 0 && envelope.timestamp().nanos() == 0) {
    return InvalidArgument("event envelope: timestamp must be set");
  }
  Send(std::make_shared<Envelope>(envelope));
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<Subscription>> Exchange::Subscribe(
    const std::vector<std::string>& filters) {
  ASSIGN_OR_RETURN(filters::Filter filter, filters::Parse(filters));
  auto subscription = std::make_shared<Subscription>(std::move(filter), limit_);
  base::MutexLock lock(mutex_);
  if (closed_) return Unavailable("the daemon is stopping");
  subscriptions_.push_back(subscription);
  return subscription;
}

// The lock is held while events are queued, so that all subscribers see one order; Offer() only
// queues and wakes.
void Exchange::Send(std::shared_ptr<const Envelope> envelope) {
  base::MutexLock lock(mutex_);
  for (auto entry = subscriptions_.begin(); entry != subscriptions_.end();) {
    if (const auto subscription = entry->lock()) {
      subscription->Offer(envelope);
      ++entry;
    } else {
      entry = subscriptions_.erase(entry);
    }
  }
}

void Exchange::Close() {
  std::list<std::weak_ptr<Subscription>> all;
  {
    base::MutexLock lock(mutex_);
    closed_ = true;
    all.swap(subscriptions_);
  }
  for (const auto& entry : all) {
    if (const auto subscription = entry.lock())
      subscription->Cancel(Unavailable("the daemon is stopping"));
  }
}

plugin::Registration ExchangePlugin(const base::Clock& clock) {
  return plugin::Provide(
      kExchange, plugin::Spec<Exchange>{.id = "exchange", .init = [&clock](plugin::InitContext&) {
                                          return absl::StatusOr<std::unique_ptr<Exchange>>(
                                              std::make_unique<Exchange>(clock));
                                        }});
}

}  // namespace gantry::events
