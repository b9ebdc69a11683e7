// SPDX-License-Identifier: Apache-2.0
#include "shim/io/stream_uri.h"

#include <cerrno>

#include "shim/io/stdio_uri.h"

namespace gantry::shim {
namespace {

constexpr char kScheme[] = "ttrpc+unix";

}  // namespace

bool IsStreamUri(const std::string& text) {
  const auto uri = ParseStdioUri(text);
  return uri.ok() && uri->scheme == kScheme;
}

kernel::Result<std::string> StreamId(const std::string& text) {
  if (text.empty()) return std::string();
  const auto uri = ParseStdioUri(text);
  if (!uri) return uri.error();
  if (uri->scheme != kScheme)
    return kernel::Error{EINVAL, "unknown STDIO scheme " + uri->scheme + " beside " + kScheme};
  for (const auto& [key, value] : uri->query) {
    if (key == "streaming_id" && !value.empty()) return value;
  }
  return kernel::Error{EINVAL, "stdio URI without a streaming_id " + text};
}

}  // namespace gantry::shim
