// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/process/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

#include "core/base/status.h"

namespace gantry::gctr {

absl::StatusOr<RawTerminal> RawTerminal::Enter() {
  for (const int fd : {STDERR_FILENO, STDOUT_FILENO, STDIN_FILENO}) {
    termios before = {};
    if (::tcgetattr(fd, &before) != 0) continue;
    termios raw = before;
    ::cfmakeraw(&raw);
    raw.c_oflag = before.c_oflag;  // our own messages still need their line ends
    if (::tcsetattr(fd, TCSANOW, &raw) != 0) return FromErrno(errno, "set terminal to raw mode");
    return RawTerminal(fd, before);
  }
  return FailedPrecondition("a terminal was asked for, but none of the standard streams is one");
}

RawTerminal::~RawTerminal() {
  if (fd_ >= 0) ::tcsetattr(fd_, TCSANOW, &before_);
}

absl::StatusOr<RawTerminal::Size> RawTerminal::size() const {
  winsize size = {};
  if (::ioctl(fd_, TIOCGWINSZ, &size) != 0) return FromErrno(errno, "get terminal size");
  return Size{.width = size.ws_col, .height = size.ws_row};
}

}  // namespace gantry::gctr
