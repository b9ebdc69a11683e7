// SPDX-License-Identifier: Apache-2.0
#include "shim/events/publisher.h"

#include <signal.h>

#include <algorithm>
#include <utility>

#include "core/kernel/subprocess.h"
#include "core/wire/ttrpc_envelope.h"
#include "shim/messages/task_events.h"
#include "shim/process/command.h"

namespace gantry::shim {
namespace {

constexpr char kService[] = "containerd.services.events.ttrpc.v1.Events";
constexpr int kMaxRefusals = 5;

messages::Timestamp ToTimestamp(Publisher::SystemTime at) {
  const auto since = at.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  return {.seconds = seconds.count(),
          .nanos = static_cast<int32_t>(
              std::chrono::duration_cast<std::chrono::nanoseconds>(since - seconds).count())};
}

}  // namespace

std::string ChooseEventsAddress(const std::string& bootstrap, const std::string& environment,
                                const std::string& grpc) {
  if (!bootstrap.empty()) return bootstrap;
  if (!environment.empty()) return environment;
  return grpc.empty() ? "" : grpc + ".ttrpc";
}

Publisher::Publisher(Loop& loop, Children& children, PublisherOptions options)
    : loop_(loop),
      children_(children),
      options_(std::move(options)),
      queue_(options_.capacity),
      forwarder_(loop, options_.address),
      idle_(loop, [this] { forwarder_.Close(); }) {}

void Publisher::Add(EventKind kind, messages::Any event, SystemTime at) {
  if (options_.address.empty() && options_.publish_binary.empty()) return;
  const uint64_t dropped = queue_.dropped();
  queue_.Push({.kind = kind, .at = ToTimestamp(at), .event = std::move(event)});
  if (queue_.dropped() != dropped) {
    options_.log("event dropped: " + std::to_string(options_.capacity) + " are waiting");
  }
  if (!running_) Start(Run());
}

Co<void> Publisher::Run() {
  running_ = true;
  idle_.Cancel();
  while (!queue_.empty()) co_await Deliver(queue_.TakeFront());
  running_ = false;
  if (connected()) idle_.After(options_.idle_limit);
  for (Event* flush : std::exchange(flushes_, {})) flush->Set();
}

Co<void> Publisher::Deliver(QueuedEvent event) {
  Clock::duration pause = options_.first_pause;
  for (int refusals = 0;;) {
    const Outcome outcome = co_await Try(&event);
    if (outcome == Outcome::kTaken) failing_ = false;
    if (outcome == Outcome::kTaken || outcome == Outcome::kInvalid) co_return;
    if (outcome == Outcome::kRefused && ++refusals >= kMaxRefusals &&
        event.kind.worth != Worth::kAll) {
      co_return;
    }
    co_await Pause(flushes_.empty() ? pause : options_.first_pause);
    pause = std::min(pause * 2, options_.longest_pause);
  }
}

Co<Publisher::Outcome> Publisher::Try(const QueuedEvent* event) {
  return options_.address.empty() ? RunPublishBinary(event) : Forward(event);
}

Co<Publisher::Outcome> Publisher::Forward(const QueuedEvent* event) {
  const messages::ForwardRequest forward{
      .envelope = messages::Envelope{.timestamp = event->at,
                                     .ns = options_.ns,
                                     .topic = std::string(event->kind.topic),
                                     .event = event->event}};
  wire::Request request{.service = kService,
                        .method = "Forward",
                        .payload = messages::Encode(forward),
                        .timeout_nano = std::chrono::nanoseconds(options_.attempt_limit).count(),
                        .metadata = {{"containerd-namespace-ttrpc", options_.ns}}};
  const auto answer =
      co_await forwarder_.Call(std::move(request), Clock::now() + options_.attempt_limit);
  if (!answer) {
    LogFailure(answer.error().Text());
    co_return Outcome::kNoAnswer;
  }
  switch (answer->code) {
    case wire::RpcCode::kOk:
      co_return Outcome::kTaken;
    case wire::RpcCode::kInvalidArgument:
      options_.log("event " + std::string(event->kind.topic) + " refused: " + answer->message);
      co_return Outcome::kInvalid;
    case wire::RpcCode::kUnavailable:
    case wire::RpcCode::kDeadlineExceeded:
    case wire::RpcCode::kResourceExhausted:
      LogFailure(answer->message);
      co_return Outcome::kNoAnswer;
    default:
      LogFailure(answer->message);
      co_return Outcome::kRefused;
  }
}

Co<Publisher::Outcome> Publisher::RunPublishBinary(const QueuedEvent* event) {
  CommandOptions command;
  command.spawn.program = options_.publish_binary;
  command.spawn.arguments = {options_.publish_binary};
  if (!options_.grpc_address.empty()) {
    command.spawn.arguments.insert(command.spawn.arguments.end(),
                                   {"--address", options_.grpc_address});
  }
  command.spawn.arguments.insert(
      command.spawn.arguments.end(),
      {"publish", "--topic", std::string(event->kind.topic), "--namespace", options_.ns});
  command.spawn.stdio = {kernel::Stdio::Pipe(), kernel::Stdio::Null(), kernel::Stdio::Pipe()};
  command.spawn.new_session = true;
  command.spawn.parent_death_signal = SIGKILL;
  command.input = messages::Encode(event->event);
  command.deadline = Clock::now() + options_.attempt_limit;
  const auto ran = co_await RunCommand(loop_, children_, std::move(command));
  if (!ran) {
    LogFailure(ran.error().Text());
    co_return Outcome::kNoAnswer;
  }
  if (ran->exit.status.success()) co_return Outcome::kTaken;
  LogFailure(options_.publish_binary + ": " +
             (ran->timed_out ? "takes too long" : ran->error_output));
  co_return Outcome::kRefused;
}

Co<void> Publisher::Pause(Clock::duration pause) {
  Event cut_short(loop_);
  pause_ = &cut_short;
  co_await cut_short.Wait(Clock::now() + pause);
  pause_ = nullptr;
}

// Once for a row of failures.
void Publisher::LogFailure(const std::string& reason) {
  if (!failing_) options_.log("publish events: " + reason);
  failing_ = true;
}

Co<bool> Publisher::Flush(Time deadline) {
  if (!running_) co_return true;
  Event flushed(loop_);
  flushes_.push_back(&flushed);
  if (pause_ != nullptr) pause_->Set();
  const bool done = co_await flushed.Wait(deadline);
  std::erase(flushes_, &flushed);
  co_return done;
}

}  // namespace gantry::shim
