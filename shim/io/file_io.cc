// SPDX-License-Identifier: Apache-2.0
#include "shim/io/file_io.h"

#include <fcntl.h>

#include <string>
#include <utility>

#include "core/kernel/file.h"
#include "shim/io/fifo_io.h"
#include "shim/io/stdio_uri.h"

namespace gantry::shim {

kernel::Result<Endpoint> OpenLogFile(const std::string& uri) {
  auto parsed = ParseStdioUri(uri);
  if (!parsed) return parsed.error();
  const std::string& path = parsed->path;
  auto made = kernel::MakeDirectories(path.substr(0, path.rfind('/') + 1), 0755);
  if (!made) return made.error();
  // Without O_NONBLOCK a path that is a fifo would wait for a reader.
  auto file = kernel::Open(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY, 0644);
  if (!file) return file.error();
  return MakeEndpoint(*std::move(file), EndKind::kFile);
}

FileIo::FileIo(IoContext& context, StdioRequest request)
    : request_(std::move(request)), streams_(context) {}

Co<kernel::Result<void>> FileIo::DoPrepare(Time /*deadline*/) {
  auto file = OpenLogFile(request_.out);
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
  Endpoint err = file_.Share();
  streams_.Copy(1, std::move(file_));
  streams_.Copy(2, std::move(err));
  co_return kernel::Result<void>();
}

void FileIo::Release() {
  file_.Close();
  streams_.Close();
}

}  // namespace gantry::shim
