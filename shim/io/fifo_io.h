// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "shim/io/piped_streams.h"
#include "shim/io/process_io.h"

namespace gantry::shim {

// Streams at paths that the client has made: fifos as a rule, else files or devices.
class FifoIo : public ProcessIo {
 public:
  FifoIo(IoContext& context, StdioRequest request);

  std::array<kernel::Stdio, 3> RuntimeStdio() const override { return streams_.RuntimeStdio(); }
  void Started() override { streams_.CloseContainerEnds(); }
  void CloseStdin() override { streams_.CloseStdin(); }
  Co<bool> Drain(Time deadline) override { return streams_.Drain(deadline); }

 protected:
  Co<kernel::Result<void>> DoPrepare(Time deadline) override;
  Co<kernel::Result<void>> DoConnect(Time deadline) override;
  void Release() override { streams_.Close(); }

 private:
  IoContext& context_;
  const StdioRequest request_;
  PipedStreams streams_;
};

// The path that a stream's string names.
kernel::Result<std::string> FifoPath(const std::string& text);

}  // namespace gantry::shim
