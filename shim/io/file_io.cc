// SPDX-License-Identifier: Apache-2.0
#include "shim/io/file_io.h"

#include <string>
#include <utility>

#include "shim/io/fifo_io.h"

namespace gantry::shim {

FileIo::FileIo(IoContext& context, StdioRequest request)
    : request_(std::move(request)), streams_(context) {}

Co<kernel::Result<void>> FileIo::DoPrepare(Time /*deadline*/) {
  auto file = LogFile::Open(request_.out);
  if (!file) co_return file.error();
  file_ = *std::move(file);
  co_return streams_.Make({!request_.in.empty(), true, true}, request_);
}

Co<kernel::Result<void>> FileIo::DoConnect(Time /*deadline*/) {
  auto in_path = FifoPath(request_.in);
  if (!in_path) co_return in_path.error();
  if (!in_path->empty()) {
    auto in = OpenInput(*in_path);
    if (!in) co_return in.error();
    streams_.Copy(0, *std::move(in));
  }
  streams_.Copy(1, MakeLogEnd(file_, OutputStream::kStdout));
  streams_.Copy(2, MakeLogEnd(file_, OutputStream::kStderr));
  co_return kernel::Result<void>();
}

kernel::Result<void> FileIo::ReopenLog() {
  return file_ ? file_->Reopen() : kernel::Result<void>();
}

std::shared_ptr<LogFollowers> FileIo::followers() const {
  return file_ ? file_->followers() : nullptr;
}

void FileIo::Release() {
  streams_.Close();
  file_.reset();
}

}  // namespace gantry::shim
