// SPDX-License-Identifier: Apache-2.0
#include "shim/io/process_io.h"

#include <cerrno>
#include <utility>

#include "shim/io/console_io.h"
#include "shim/io/fifo_io.h"
#include "shim/io/file_io.h"
#include "shim/io/log_file.h"
#include "shim/io/logger_io.h"
#include "shim/io/null_io.h"
#include "shim/io/stdio_uri.h"
#include "shim/io/stream_io.h"
#include "shim/io/stream_uri.h"

namespace gantry::shim {

kernel::Result<StdioMode> ModeOf(const StdioRequest& request) {
  auto out = ParseStdioUri(request.out);
  if (!out) return out.error();
  StdioMode mode = StdioMode::kFifo;
  if (IsStreamUri(request.out) ||
      (request.out.empty() && (IsStreamUri(request.err) || IsStreamUri(request.in)))) {
    for (const std::string* text : {&request.in, &request.out, &request.err}) {
      if (auto id = StreamId(*text); !id) return id.error();
    }
    mode = StdioMode::kStream;
  } else if (out->scheme == "binary" || out->scheme == "binary-v2") {
    mode = StdioMode::kLogger;
  } else if (LogFile::IsScheme(out->scheme)) {
    mode = StdioMode::kFile;
  } else if (!out->scheme.empty() && out->scheme != "fifo") {
    return kernel::Error{EINVAL, "unknown STDIO scheme " + out->scheme};
  }
  if (!out->scheme.empty() && !out->path.starts_with('/'))
    return kernel::Error{EINVAL, "stdio URI without a path " + request.out};
  if (request.terminal) return StdioMode::kConsole;
  if (request.in.empty() && request.out.empty() && request.err.empty()) return StdioMode::kNull;
  return mode;
}

Co<kernel::Result<void>> ProcessIo::Prepare(Time deadline) {
  auto done = co_await DoPrepare(deadline);
  if (!done) Release();
  co_return done;
}

Co<kernel::Result<void>> ProcessIo::Connect(Time deadline) {
  auto done = co_await DoConnect(deadline);
  if (!done) Release();
  co_return done;
}

kernel::Result<void> ProcessIo::Resize(uint16_t /*width*/, uint16_t /*height*/) { return {}; }

kernel::Result<void> ProcessIo::ReopenLog() {
  return kernel::Error{ENOTSUP, "reopen what is no log file"};
}

Co<bool> ProcessIo::Drain(Time /*deadline*/) { co_return true; }

Co<void> ProcessIo::Close() {
  Release();
  co_return;
}

kernel::Result<std::unique_ptr<ProcessIo>> MakeProcessIo(IoContext& context, StdioRequest request) {
  auto mode = ModeOf(request);
  if (!mode) return mode.error();
  std::unique_ptr<ProcessIo> made;
  switch (*mode) {
    case StdioMode::kNull:
      made = std::make_unique<NullIo>();
      break;
    case StdioMode::kFifo:
      made = std::make_unique<FifoIo>(context, std::move(request));
      break;
    case StdioMode::kFile:
      made = std::make_unique<FileIo>(context, std::move(request));
      break;
    case StdioMode::kLogger:
      made = std::make_unique<LoggerIo>(context, std::move(request));
      break;
    case StdioMode::kStream:
      made = std::make_unique<StreamIo>(context, std::move(request));
      break;
    case StdioMode::kConsole:
      made = std::make_unique<ConsoleIo>(context, std::move(request));
      break;
  }
  return made;
}

}  // namespace gantry::shim
