// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "shim/io/log_file.h"
#include "shim/io/piped_streams.h"
#include "shim/io/process_io.h"

namespace gantry::shim {

// Both outputs are appended to one file (LogFile), which somebody else may cut short or rename to
// rotate it. The input, if there is one, is a fifo.
class FileIo : public ProcessIo {
 public:
  FileIo(IoContext& context, StdioRequest request);

  std::array<kernel::Stdio, 3> RuntimeStdio() const override { return streams_.RuntimeStdio(); }
  void Started() override { streams_.CloseContainerEnds(); }
  void CloseStdin() override { streams_.CloseStdin(); }
  kernel::Result<void> ReopenLog() override;
  std::shared_ptr<LogFollowers> followers() const override;
  Co<bool> Drain(Time deadline) override { return streams_.Drain(deadline); }

 protected:
  Co<kernel::Result<void>> DoPrepare(Time deadline) override;
  Co<kernel::Result<void>> DoConnect(Time deadline) override;
  void Release() override;

 private:
  const StdioRequest request_;
  PipedStreams streams_;
  std::shared_ptr<LogFile> file_;
};

}  // namespace gantry::shim
