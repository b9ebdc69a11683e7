// SPDX-License-Identifier: Apache-2.0
#include "shim/io/fifo_io.h"

#include <utility>

#include "shim/io/stdio_uri.h"

namespace gantry::shim {

kernel::Result<std::string> FifoPath(const std::string& text) {
  auto uri = ParseStdioUri(text);
  if (!uri) return uri.error();
  return uri->scheme == "fifo" ? uri->path : text;
}

FifoIo::FifoIo(IoContext& context, StdioRequest request)
    : context_(context), request_(std::move(request)), streams_(context) {}

Co<kernel::Result<void>> FifoIo::DoPrepare(Time /*deadline*/) {
  co_return streams_.Make({!request_.in.empty(), !request_.out.empty(), !request_.err.empty()},
                          request_);
}

Co<kernel::Result<void>> FifoIo::DoConnect(Time deadline) {
  auto in_path = FifoPath(request_.in);
  if (!in_path) co_return in_path.error();
  auto out_path = FifoPath(request_.out);
  if (!out_path) co_return out_path.error();
  auto err_path = FifoPath(request_.err);
  if (!err_path) co_return err_path.error();

  Endpoint in;
  if (!in_path->empty()) {
    auto opened = OpenInput(*in_path);
    if (!opened) co_return opened.error();
    in = *std::move(opened);
  }
  auto out = co_await OpenOutput(context_, *out_path, deadline);
  if (!out) co_return out.error();
  Endpoint err;
  if (*err_path == *out_path && out->kind == EndKind::kFile) {
    err = out->Share();
  } else {
    auto opened = co_await OpenOutput(context_, *err_path, deadline);
    if (!opened) co_return opened.error();
    err = *std::move(opened);
  }
  if (!in_path->empty()) streams_.Copy(0, std::move(in));
  if (!out_path->empty()) streams_.Copy(1, *std::move(out));
  if (!err_path->empty()) streams_.Copy(2, std::move(err));
  co_return kernel::Result<void>();
}

}  // namespace gantry::shim
