// SPDX-License-Identifier: Apache-2.0
#include "core/ttrpc/client.h"

#include <fcntl.h>

#include <atomic>
#include <cerrno>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/ttrpc/address.h"
#include "core/ttrpc/channel.h"
#include "core/ttrpc/rpc_status.h"
#include "core/wire/client_connection.h"

namespace gantry::ttrpc {
namespace {

using StopCallback = std::stop_callback<std::function<void()>>;

}  // namespace

// The connection, which lives in the loop. The loop's tasks keep it alive while they run.
class Client::Core final : public Channel::Owner, public std::enable_shared_from_this<Core> {
 public:
  Core(Loop& loop, ClientOptions options)
      : loop_(loop),
        options_(std::move(options)),
        channel_(loop, *this, wire_.output(), options_.max_output_bytes) {}

  absl::Status Open(kernel::UniqueFd socket) {
    absl::Status status = channel_.Open(std::move(socket));
    open_ = status.ok();
    return status;
  }

  // Any thread.
  void Call(CallOptions options, std::string payload, Done done) {
    // Counted here and not in the loop, so that no crowd can gather before it.
    const bool admitted = in_flight_.fetch_add(1) < options_.max_in_flight;
    {
      base::MutexLock lock(mutex_);
      queue_.push_back({std::move(options), std::move(payload), std::move(done), admitted});
      if (queue_.size() > 1) return;  // whoever queued the first one has called for the loop
    }
    loop_.Post([self = shared_from_this()] { self->StartQueued(); });
  }

  // In the loop.
  void Close() {
    const auto self = shared_from_this();
    open_ = false;
    channel_.Close();
    StartQueued();  // each fails, being late
    EndAll();
  }

  std::shared_ptr<const void> KeepAlive() const override { return shared_from_this(); }

  Loop& loop() { return loop_; }
  bool open() const { return open_; }

 private:
  struct Queued {
    CallOptions options;
    std::string payload;
    Done done;
    bool admitted = false;
  };
  struct Pending {
    Done done;
    Loop::TimerId timer = 0;
    std::unique_ptr<StopCallback> stop;
  };

  void End(Done done, absl::StatusOr<std::string> result) {
    in_flight_.fetch_sub(1);
    done(std::move(result));
  }

  void StartQueued() {
    std::vector<Queued> calls;
    {
      base::MutexLock lock(mutex_);
      calls.swap(queue_);
    }
    for (Queued& call : calls) {
      absl::Status status = Start(call);
      if (!status.ok()) End(std::move(call.done), std::move(status));
    }
    channel_.Flush();
  }

  // Takes the call's `done` only when it succeeds.
  absl::Status Start(Queued& call) {
    CallOptions& options = call.options;
    if (!open_) return ClosedError();
    if (!call.admitted) return ResourceExhausted("{}: too many calls at once", options.method);
    if (options.stop.stop_requested()) return Cancelled("{}", options.method);
    const absl::Duration left = options.deadline - absl::Now();
    if (left <= absl::ZeroDuration()) return DeadlineExceeded("{}", options.method);
    if (wire_.output().size() > options_.max_output_bytes) {
      return ResourceExhausted("{}: the peer does not read", options.method);
    }
    wire::Request request{.service = std::move(options.service),
                          .method = options.method,
                          .payload = std::move(call.payload),
                          .timeout_nano = TimeoutNano(left),
                          .metadata = std::move(options.metadata)};
    const auto stream = wire_.Start(request);
    if (!stream) return StartError(stream.error(), options.method);
    Pending& pending = pending_[*stream];
    pending.done = std::move(call.done);
    Arm(*stream, pending, options, left);
    return absl::OkStatus();
  }

  static int64_t TimeoutNano(absl::Duration left) {
    return left == absl::InfiniteDuration() ? 0 : absl::ToInt64Nanoseconds(left);
  }

  absl::Status StartError(const kernel::Error& error, const std::string& method) {
    if (error.err == EMSGSIZE) {
      return ResourceExhausted("{}: request exceeds the message limit", method);
    }
    // Two thousand million calls later the connection is worn out; the owner makes another.
    Close();
    return ClosedError();
  }

  void Arm(uint32_t stream, Pending& pending, const CallOptions& options, absl::Duration left) {
    if (left != absl::InfiniteDuration()) {
      pending.timer = loop_.After(left, [this, stream, method = options.method] {
        GiveUp(stream, DeadlineExceeded("{}", method));
      });
    }
    if (!options.stop.stop_possible()) return;
    // Runs on whatever thread asks to stop, perhaps after we are gone.
    pending.stop = std::make_unique<StopCallback>(
        options.stop,
        [weak = weak_from_this(), mailbox = loop_.mailbox(), stream, method = options.method] {
          mailbox->Post([weak, stream, method] {
            if (const auto self = weak.lock()) self->GiveUp(stream, Cancelled("{}", method));
          });
        });
  }

  // The end of a call before its answer.
  void GiveUp(uint32_t stream, absl::Status status) {
    const auto self = shared_from_this();
    wire_.Forget(stream);
    Finish(stream, std::move(status));
  }

  void Finish(uint32_t stream, absl::StatusOr<std::string> result) {
    auto node = pending_.extract(stream);
    if (node.empty()) return;
    Pending pending = std::move(node.mapped());
    loop_.CancelTimer(pending.timer);
    pending.stop.reset();
    End(std::move(pending.done), std::move(result));
  }

  void OnBytes(std::string_view bytes) override {
    wire_.Feed(bytes);
    while (open_) {
      auto event = wire_.Next();
      if (!event) break;
      // Calls are unary: each event is the end of one.
      wire::Response& response = event->response;
      Finish(event->stream, response.status.ok()
                                ? absl::StatusOr<std::string>(std::move(response.payload))
                                : FromWire(response.status));
    }
    if (wire_.broken()) Close();
  }

  void OnLost() override {
    open_ = false;
    EndAll();
  }

  void EndAll() {
    const auto self = shared_from_this();
    while (!pending_.empty()) Finish(pending_.begin()->first, ClosedError());
    if (auto on_disconnect = std::exchange(options_.on_disconnect, nullptr)) on_disconnect();
  }

  Loop& loop_;
  ClientOptions options_;
  std::atomic<size_t> in_flight_ = 0;
  std::atomic<bool> open_ = false;
  wire::ClientConnection wire_;
  std::map<uint32_t, Pending> pending_;
  base::Mutex mutex_;
  std::vector<Queued> queue_ ABSL_GUARDED_BY(mutex_);  // bounded as callers wait for their answers
  Channel channel_;
};

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(Loop& loop, const std::string& address,
                                                        ClientOptions options) {
  ASSIGN_OR_RETURN(kernel::UniqueFd socket, DialAddress(address));
  return Adopt(loop, std::move(socket), std::move(options));
}

absl::StatusOr<std::unique_ptr<Client>> Client::Adopt(Loop& loop, kernel::UniqueFd socket,
                                                      ClientOptions options) {
  const int flags = ::fcntl(socket.get(), F_GETFL);
  if (flags < 0 || ::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return FromErrno(errno, "adopt a socket");
  }
  auto core = std::make_shared<Core>(loop, std::move(options));
  absl::Status status;
  loop.RunAndWait([&] { status = core->Open(std::move(socket)); });
  RETURN_IF_ERROR(status);
  return std::unique_ptr<Client>(new Client(std::move(core)));
}

Client::~Client() { Close(); }

void Client::Close() {
  core_->loop().RunAndWait([core = core_.get()] { core->Close(); });
}

bool Client::connected() const { return core_->open(); }

void Client::Call(CallOptions options, std::string payload, Done done) {
  core_->Call(std::move(options), std::move(payload), std::move(done));
}

absl::StatusOr<std::string> Client::CallAndWait(CallOptions options, std::string payload) {
  base::Mutex mutex;
  base::CondVar changed;
  std::optional<absl::StatusOr<std::string>> outcome;
  Call(std::move(options), std::move(payload), [&](absl::StatusOr<std::string> result) {
    base::MutexLock lock(mutex);
    outcome = std::move(result);
    changed.NotifyOne();  // under the lock: the waiter destroys both
  });
  base::MutexLock lock(mutex);
  while (!outcome) changed.Wait(mutex);
  return *std::move(outcome);
}

}  // namespace gantry::ttrpc
