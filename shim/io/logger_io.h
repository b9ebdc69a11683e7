// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "shim/io/logger.h"
#include "shim/io/process_io.h"

namespace gantry::shim {

// A logger reads the container's outputs straight from their pipes; the shim copies nothing. When
// it dies the container's writes fail. There is no input.
class LoggerIo : public ProcessIo {
 public:
  LoggerIo(IoContext& context, StdioRequest request);

  std::array<kernel::Stdio, 3> RuntimeStdio() const override;
  void Started() override;
  Co<void> Close() override;

 protected:
  Co<kernel::Result<void>> DoPrepare(Time deadline) override;
  Co<kernel::Result<void>> DoConnect(Time deadline) override;
  void Release() override;

 private:
  IoContext& context_;
  const StdioRequest request_;
  kernel::UniqueFd out_;  // the container's ends, until it has them
  kernel::UniqueFd err_;
  std::unique_ptr<Logger> logger_;
};

// A logger that is ready, and the ends to write to it.
struct LoggerPipes {
  kernel::UniqueFd out;
  kernel::UniqueFd err;
  std::unique_ptr<Logger> logger;
};
Co<kernel::Result<LoggerPipes>> StartLogger(IoContext& context, StdioRequest request,
                                            Time deadline);

}  // namespace gantry::shim
