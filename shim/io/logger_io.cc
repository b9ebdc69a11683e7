// SPDX-License-Identifier: Apache-2.0
#include "shim/io/logger_io.h"

#include <utility>

#include "shim/io/endpoint.h"
#include "shim/io/stdio_uri.h"

namespace gantry::shim {

Co<kernel::Result<LoggerPipes>> StartLogger(IoContext& context, StdioRequest request,
                                            Time deadline) {
  auto uri = ParseStdioUri(request.out);
  if (!uri) co_return uri.error();
  auto out = MakePipe();
  if (!out) co_return out.error();
  auto err = MakePipe();
  if (!err) co_return err.error();
  for (const int fd : {out->write.get(), err->write.get()}) {
    if (auto given = GiveTo(fd, request.io_uid, request.io_gid); !given) co_return given.error();
  }
  auto logger = Logger::Spawn(context, *uri, request.id, request.ns,
                              {.out = out->read.get(), .err = err->read.get()});
  if (!logger) co_return logger.error();
  // Were they open here, too, nobody would notice the logger's death.
  out->read.Reset();
  err->read.Reset();
  if (auto ready = co_await (*logger)->Ready(deadline); !ready) co_return ready.error();
  co_return LoggerPipes{
      .out = std::move(out->write), .err = std::move(err->write), .logger = *std::move(logger)};
}

LoggerIo::LoggerIo(IoContext& context, StdioRequest request)
    : context_(context), request_(std::move(request)) {}

Co<kernel::Result<void>> LoggerIo::DoPrepare(Time deadline) {
  auto started = co_await StartLogger(context_, request_, deadline);
  if (!started) co_return started.error();
  out_ = std::move(started->out);
  err_ = std::move(started->err);
  logger_ = std::move(started->logger);
  co_return kernel::Result<void>();
}

Co<kernel::Result<void>> LoggerIo::DoConnect(Time /*deadline*/) {
  co_return kernel::Result<void>();
}

std::array<kernel::Stdio, 3> LoggerIo::RuntimeStdio() const {
  return {kernel::Stdio::Null(), kernel::Stdio::Fd(out_.get()), kernel::Stdio::Fd(err_.get())};
}

void LoggerIo::Started() {
  out_.Reset();
  err_.Reset();
}

Co<void> LoggerIo::Close() {
  Started();
  if (logger_) co_await logger_->Stop();
  logger_.reset();
}

void LoggerIo::Release() {
  Started();
  logger_.reset();
}

}  // namespace gantry::shim
