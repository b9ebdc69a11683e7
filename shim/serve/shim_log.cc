// SPDX-License-Identifier: Apache-2.0
#include "shim/serve/shim_log.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <string>

#include "core/kernel/file.h"
#include "shim/io/log_format.h"

namespace gantry::shim {
namespace {

// What is written as a whole or not at all, whoever else writes there: PIPE_BUF.
constexpr size_t kMaxLineBytes = 4096;

// Of a text that is too long the beginning.
std::string Quoted(std::string_view text, size_t max_bytes = kMaxLineBytes) {
  std::string quoted = "\"";
  for (const char c : text) {
    const bool escaped = c == '"' || c == '\\';
    if (quoted.size() + (escaped ? 3 : 2) > max_bytes) break;
    if (escaped) quoted += '\\';
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
  line.append(level).append(" msg=");
  line.append(Quoted(message, kMaxLineBytes - line.size() - 1)).append("\n");
  (void)!::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace gantry::shim
