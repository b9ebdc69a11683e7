// SPDX-License-Identifier: Apache-2.0
// The streams of one process of a container, its init or an exec.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "core/kernel/result.h"
#include "core/kernel/subprocess.h"
#include "shim/io/io_context.h"
#include "shim/io/log_followers.h"
#include "shim/io/stdio_request.h"
#include "shim/loop/co.h"

namespace gantry::shim {

// The life of a process's streams, in the order of the calls: Prepare(), the runtime command is
// spawned with RuntimeStdio() (and the console socket, if there is one), Started(), the command
// ends well, Connect(), ProcessExited(), Drain(), Close(). Whoever has a failure in between calls
// Close().
//
// What fails has released everything: all fds are closed, a logger is killed. So does the
// destructor. Errors name the path. No coroutine of this object may run any more when it goes.
class ProcessIo {
 public:
  ProcessIo() = default;
  ProcessIo(const ProcessIo&) = delete;
  virtual ~ProcessIo() = default;

  // Makes pipes, files and the console socket. Starts a logger and waits until it is ready.
  Co<kernel::Result<void>> Prepare(Time deadline);

  // For the command that makes the process. With a terminal its outputs are pipes, to be captured.
  virtual std::array<kernel::Stdio, 3> RuntimeStdio() const = 0;
  // Empty without a terminal. A path that the runtime can connect to, wherever its directory is.
  virtual std::string console_socket() const { return {}; }

  // The command has the container's ends now: ours are closed, or the streams would never end.
  virtual void Started() {}

  // Opens what the client names, receives the terminal, and begins to copy. ETIMEDOUT when a fifo
  // has no reader, or the terminal has not come, by the deadline.
  Co<kernel::Result<void>> Connect(Time deadline);

  // The container's input ends when its clients have closed theirs, too. May come before Connect().
  virtual void CloseStdin() {}
  // Nothing happens without a terminal.
  virtual kernel::Result<void> Resize(uint16_t width, uint16_t height);

  // Goes on in a new file at the path of a LogFile URI. ENOTSUP in other modes.
  virtual kernel::Result<void> ReopenLog();
  // Those who read along what goes there; null in other modes.
  virtual std::shared_ptr<LogFollowers> followers() const { return nullptr; }

  // Ends a terminal; pipes live for as long as anybody has them.
  virtual void ProcessExited() {}

  // True once all output has been passed on and its targets are closed; false at the deadline.
  virtual Co<bool> Drain(Time deadline);

  // Closes everything. A logger gets SIGTERM, time to finish, then SIGKILL. May be repeated.
  virtual Co<void> Close();

 protected:
  virtual Co<kernel::Result<void>> DoPrepare(Time deadline) = 0;
  virtual Co<kernel::Result<void>> DoConnect(Time deadline) = 0;
  // Closes everything at once.
  virtual void Release() = 0;
};

// EINVAL: the request makes no sense; its text says why.
kernel::Result<std::unique_ptr<ProcessIo>> MakeProcessIo(IoContext& context, StdioRequest request);

}  // namespace gantry::shim
