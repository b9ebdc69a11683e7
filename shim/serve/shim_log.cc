// SPDX-License-Identifier: Apache-2.0
#include "shim/serve/shim_log.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "core/kernel/file.h"
#include "shim/io/log_format.h"

namespace gantry::shim {
namespace {

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c == '\n' ? ' ' : c;
  }
  return quoted + '"';
}

std::string Now() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return LogTime(now);
}

}  // namespace

void OpenLog() {
  // Opened both ways: there is always a reader, hence no SIGPIPE when the daemon goes.
  if (auto fifo = kernel::Open("log", O_RDWR | O_NONBLOCK)) ::dup2(fifo->get(), STDERR_FILENO);
  if (::chdir("/") != 0) Log("warning", "cannot leave the bundle");
}

void Log(std::string_view level, std::string_view message) {
  std::string line = "time=" + Quoted(Now()) + " level=";
  line.append(level).append(" msg=").append(Quoted(message)).append("\n");
  // A line that is no longer than PIPE_BUF is written as a whole or not at all.
  line.resize(std::min<size_t>(line.size(), 4096));
  (void)!::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace gantry::shim
