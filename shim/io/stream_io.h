// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shim/io/piped_streams.h"
#include "shim/io/process_io.h"
#include "shim/io/stream_set.h"

namespace gantry::shim {

// Streams that clients take from the shim's own socket (stream_uri.h), by a call for each.
class StreamIo : public ProcessIo {
 public:
  StreamIo(IoContext& context, StdioRequest request);

  std::array<kernel::Stdio, 3> RuntimeStdio() const override { return pipes_.RuntimeStdio(); }
  void Started() override { pipes_.CloseContainerEnds(); }
  void CloseStdin() override { streams_.CloseStdin(); }
  void ProcessExited() override { streams_.Hurry(); }
  Co<bool> Drain(Time deadline) override { return streams_.Drain(deadline); }

 protected:
  Co<kernel::Result<void>> DoPrepare(Time deadline) override;
  Co<kernel::Result<void>> DoConnect(Time deadline) override;
  void Release() override;

 private:
  const StdioRequest request_;
  PipedStreams pipes_;
  StreamSet streams_;
};

}  // namespace gantry::shim
