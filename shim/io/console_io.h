// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "shim/io/console_socket.h"
#include "shim/io/log_file.h"
#include "shim/io/logger_io.h"
#include "shim/io/process_io.h"
#include "shim/io/stream_set.h"
#include "shim/io/terminal.h"
#include "shim/loop/event.h"

namespace gantry::shim {

// A process with a terminal, whose master the runtime hands over. Its output goes to a fifo, a
// file, a logger or a client's stream; there is no error stream of its own.
class ConsoleIo : public ProcessIo {
 public:
  ConsoleIo(IoContext& context, StdioRequest request);

  std::array<kernel::Stdio, 3> RuntimeStdio() const override;
  std::string console_socket() const override { return socket_ ? socket_->address() : ""; }
  void CloseStdin() override;
  kernel::Result<void> Resize(uint16_t width, uint16_t height) override;
  void ProcessExited() override;
  kernel::Result<void> ReopenLog() override;
  std::shared_ptr<LogFollowers> followers() const override;
  Co<bool> Drain(Time deadline) override;
  Co<void> Close() override;

 protected:
  Co<kernel::Result<void>> DoPrepare(Time deadline) override;
  Co<kernel::Result<void>> DoConnect(Time deadline) override;
  void Release() override;

 private:
  Co<kernel::Result<Endpoint>> OpenTarget(Time deadline);
  kernel::Result<Endpoint> OpenSource();

  IoContext& context_;
  const StdioRequest request_;
  std::optional<ConsoleSocket> socket_;  // until the terminal has come
  std::shared_ptr<LogFile> file_;        // one of the four kinds of targets
  LoggerPipes pipes_;                    // `err` stays open and silent
  std::optional<StreamSet> streams_;     // behind pipes of their own
  std::optional<Terminal> terminal_;
  bool stdin_closed_ = false;
  bool exited_ = false;
  Event ended_;
};

}  // namespace gantry::shim
