// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shim/io/piped_streams.h"
#include "shim/io/process_io.h"

namespace gantry::shim {

// Both outputs are appended to one file, which somebody else may cut short to rotate it. The input,
// if there is one, is a fifo.
class FileIo : public ProcessIo {
 public:
  FileIo(IoContext& context, StdioRequest request);

  std::array<kernel::Stdio, 3> RuntimeStdio() const override { return streams_.RuntimeStdio(); }
  void Started() override { streams_.CloseContainerEnds(); }
  void CloseStdin() override { streams_.CloseStdin(); }
  Co<bool> Drain(Time deadline) override { return streams_.Drain(deadline); }

 protected:
  Co<kernel::Result<void>> DoPrepare(Time deadline) override;
  Co<kernel::Result<void>> DoConnect(Time deadline) override;
  void Release() override;

 private:
  const StdioRequest request_;
  PipedStreams streams_;
  Endpoint file_;  // until it is connected
};

// Opens the file of a `file` URI to append, with the directories above it.
kernel::Result<Endpoint> OpenLogFile(const std::string& uri);

}  // namespace gantry::shim
