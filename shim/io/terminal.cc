// SPDX-License-Identifier: Apache-2.0
#include "shim/io/terminal.h"

#include <sys/epoll.h>
#include <sys/ioctl.h>

#include <utility>

namespace gantry::shim {
namespace {

constexpr uint32_t kMasterEvents = EPOLLIN | EPOLLOUT | EPOLLET;

}  // namespace

Terminal::Terminal(IoContext& context, kernel::UniqueFd master, Endpoint input, Endpoint output,
                   std::function<void()> ended)
    : master_(MakeEndpoint(std::move(master), EndKind::kTerminal)),
      input_(std::move(input)),
      output_(std::move(output)),
      ended_(std::move(ended)),
      in_(context.buffer, input_, master_),
      out_(context.buffer, master_, output_),
      master_watch_(context.loop, master_.get(), [this](uint32_t) { MasterReady(); }),
      input_ready_(context.loop, input_.get(), [this] { MoveIn(); }),
      output_ready_(context.loop, output_.get(), [this] { MoveOut(); }) {
  master_watch_.Arm(kMasterEvents).Ignore();  // a terminal can always be watched
  if (input_.fd) input_ready_.Await(EPOLLIN);
}

kernel::Result<void> Terminal::Resize(uint16_t width, uint16_t height) {
  if (closed()) return {};
  winsize size{};
  size.ws_col = width;
  size.ws_row = height;
  if (::ioctl(master_.get(), TIOCSWINSZ, &size) != 0) return kernel::LastError("resize a terminal");
  return {};
}

void Terminal::MasterReady() {
  if (input_.fd) MoveIn();
  if (!closed()) MoveOut();
}

void Terminal::MoveIn() {
  switch (in_.Move()) {
    case Transfer::Next::kSource:
    case Transfer::Next::kAgain:
      return input_ready_.Await(EPOLLIN);
    case Transfer::Next::kTarget:
      return input_ready_.Stop();  // until the master is ready again
    case Transfer::Next::kEnd:
    case Transfer::Next::kTargetGone:
      return HangUp();
  }
}

void Terminal::MoveOut() {
  output_ready_.Stop();
  switch (out_.Move()) {
    case Transfer::Next::kSource:
      return;  // until the master is ready again
    case Transfer::Next::kAgain:
      // Asked for again, what is ready now is told in the next turn.
      return master_watch_.Arm(kMasterEvents).Ignore();
    case Transfer::Next::kTarget:
      return output_ready_.Await(EPOLLOUT);
    case Transfer::Next::kTargetGone:
      // A logger died. The process may go on, unheard.
      out_.DropTarget();
      output_.Close();
      return MoveOut();
    case Transfer::Next::kEnd:
      return Close();
  }
}

void Terminal::CloseInput() {
  input_ready_.Stop();
  input_.Close();
}

void Terminal::HangUp() {
  if (closed()) return;
  CloseInput();
  out_.SourceIsDone();
  MoveOut();
}

void Terminal::Close() {
  if (closed()) return;
  CloseInput();
  output_ready_.Stop();
  if (output_.log) output_.log->Finish();
  output_.Close();
  master_watch_.Disarm();
  master_.Close();
  ended_();
}

}  // namespace gantry::shim
