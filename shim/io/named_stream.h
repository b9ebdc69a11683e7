// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace gantry::shim {

class StreamClient;

// A stream of a process, as those see it who bring it its client. It has one client at a time, or
// none.
class NamedStream {
 public:
  // In place of one that was there.
  virtual void Attach(StreamClient& client) = 0;
  // Its client is no longer there.
  virtual void Detach() = 0;

  // What the client does.
  virtual void TakeData(std::string_view data) = 0;
  virtual void TakeCredit() = 0;  // StreamClient::credit() has grown
  virtual void TakeEnd() = 0;     // it sends nothing more
  virtual void Written() = 0;     // after StreamClient::Waits()

 protected:
  ~NamedStream() = default;
};

}  // namespace gantry::shim
