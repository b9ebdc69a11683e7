// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/kernel/result.h"
#include "core/kernel/unique_fd.h"
#include "core/wire/client_connection.h"
#include "core/wire/rpc_status.h"
#include "core/wire/ttrpc_envelope.h"
#include "shim/loop/co.h"
#include "shim/loop/loop.h"

namespace gantry::shim {

// Calls one ttrpc server, one call at a time, over a connection that is made when it is needed and
// kept.
class Forwarder {
 public:
  // `address`: a path, or "unix://" and a path.
  Forwarder(Loop& loop, std::string address);
  Forwarder(const Forwarder&) = delete;

  // The server's answer. An error when there is none by the deadline; then the connection is
  // closed. A connection that was kept and turns out to have ended is replaced at once.
  Co<kernel::Result<wire::RpcStatus>> Call(wire::Request request, Time deadline);

  // Not during a call.
  void Close();
  bool connected() const { return static_cast<bool>(socket_); }

 private:
  kernel::Result<void> Connect();
  Co<kernel::Result<wire::RpcStatus>> Exchange(const wire::Request* request, Time deadline);
  Co<kernel::Result<void>> Write(Time deadline);
  Co<kernel::Result<void>> Read(Time deadline);

  Loop& loop_;
  const std::string path_;
  kernel::UniqueFd socket_;
  wire::ClientConnection connection_;
};

}  // namespace gantry::shim
