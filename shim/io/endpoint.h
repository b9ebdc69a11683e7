// SPDX-License-Identifier: Apache-2.0
// The ends of streams: what clients name by path, and the pipes to the container.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>

#include "core/kernel/result.h"
#include "core/kernel/unique_fd.h"
#include "shim/io/io_context.h"
#include "shim/io/log_file.h"
#include "shim/loop/co.h"

namespace gantry::shim {

enum class EndKind {
  kPipe,      // a pipe or fifo
  kTerminal,  // the master of a terminal
  kFile,      // anything else: every write is one whole piece
  kLog,       // as a target: a LogStream, not an fd
  kNothing,   // as a target: what comes is dropped
};

// One end of a stream, open.
struct Endpoint {
  std::shared_ptr<kernel::UniqueFd> fd;  // shared by two streams into one file
  EndKind kind = EndKind::kNothing;
  // The other side of a client's fifo. A reader of our own: clients come and go, and what they have
  // not read yet waits for them. A writer: the stream ends when we say so.
  kernel::UniqueFd keeper;
  std::unique_ptr<LogStream> log;

  int get() const { return fd ? fd->get() : -1; }
  // Another end at the same file.
  Endpoint Share() const { return {.fd = fd, .kind = kind, .keeper = {}, .log = {}}; }
  void Close() {
    fd.reset();
    keeper.Reset();
    log.reset();
  }
};

Endpoint MakeEndpoint(kernel::UniqueFd fd, EndKind kind);
Endpoint MakeLogEnd(std::shared_ptr<LogFile> file, OutputStream stream);

// Opens where a stream's output goes. A fifo is waited for until it has a reader, ETIMEDOUT at the
// deadline: were it opened both ways at once, what a short-lived container wrote could be gone
// before its client came. Anything else is opened to append. The path must exist. An empty path
// gives an end that drops everything.
Co<kernel::Result<Endpoint>> OpenOutput(IoContext& context, std::string path, Time deadline);

// Opens where a container's input comes from; nobody is waited for.
kernel::Result<Endpoint> OpenInput(const std::string& path);

// A pipe, both ends blocking.
struct Pipe {
  kernel::UniqueFd read;
  kernel::UniqueFd write;
};
kernel::Result<Pipe> MakePipe();

// Makes a pipe's end the property of a container's user, who may then open it again through /proc.
kernel::Result<void> GiveTo(int fd, uid_t uid, gid_t gid);

kernel::Result<void> SetNonBlocking(int fd);

}  // namespace gantry::shim
