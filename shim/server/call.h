// SPDX-License-Identifier: Apache-2.0
// What a served method gets and gives.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "core/wire/rpc_status.h"
#include "core/wire/ttrpc_envelope.h"
#include "shim/loop/co.h"
#include "shim/loop/loop.h"
#include "shim/server/caller.h"

namespace gantry::shim {

struct Call {
  std::string ns;          // the caller's namespace; where it named none, the server's own
  Time deadline = kNever;  // may have passed already; nobody ends the method when it passes
  wire::Metadata metadata;
  std::string payload;  // the encoded request
  std::shared_ptr<Caller> caller;
};

// The encoded response, or why there is none.
using Answer = std::variant<std::string, wire::RpcStatus>;

// Runs to its end whatever becomes of its caller.
using Method = std::function<Co<Answer>(Call)>;

// By bare name.
using Methods = std::map<std::string, Method, std::less<>>;

// The messages of one call that has many, to its caller.
class MessageStream {
 public:
  MessageStream() = default;
  MessageStream(const MessageStream&) = delete;
  virtual ~MessageStream() = default;

  // Adds a message (an encoded one). False once there is nobody to take it.
  virtual bool Send(std::string_view message) = 0;
  // Until the kernel has taken all that was sent over the connection, or the caller has left. One
  // who waits after each message keeps no more than that one waiting here.
  virtual Co<void> Written() = 0;
};

// What becomes of an exchange, told from the loop.
class ExchangeReceiver {
 public:
  virtual void Message(std::string_view message) = 0;
  // The caller has sent its last message.
  virtual void HalfClosed() = 0;
  // After Exchange::Waits(): nothing waits any more.
  virtual void Written() = 0;
  // The caller has left, or broken the rules. Nothing comes after this, and nobody takes messages.
  virtual void Left() = 0;

 protected:
  ~ExchangeReceiver() = default;
};

// The messages of one call that has many both ways. None that comes is kept: whoever needs a bound
// agrees on one with its caller.
class Exchange : public MessageStream {
 public:
  // To be called before the method waits for the first time. `receiver` lives as long as the
  // method.
  virtual void Receive(ExchangeReceiver& receiver) = 0;
  // True while the connection has output that its caller has not taken; then the receiver is told,
  // once, when it has.
  virtual bool Waits() = 0;
};

// Its status ends the stream. `stream` lives until then.
using StreamMethod = std::function<Co<wire::RpcStatus>(Call, MessageStream& stream)>;
using StreamMethods = std::map<std::string, StreamMethod, std::less<>>;
using ExchangeMethod = std::function<Co<wire::RpcStatus>(Call, Exchange& exchange)>;
using ExchangeMethods = std::map<std::string, ExchangeMethod, std::less<>>;

}  // namespace gantry::shim
