// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>

#include "core/kernel/result.h"

namespace gantry::shim {

// What a client asks of a process's streams.
struct StdioRequest {
  bool terminal = false;
  std::string in;  // as the client gave them: paths or URIs
  std::string out;
  std::string err;
  uid_t io_uid = 0;  // whom the container's ends of the pipes belong to
  gid_t io_gid = 0;
  std::string id;      // of the container, or of the exec
  std::string ns;      // containerd's namespace
  std::string bundle;  // an absolute path; the console socket is made there
};

enum class StdioMode { kNull, kFifo, kFile, kLogger, kStream, kConsole };

// `out` alone decides between paths and URIs, but that without it others may name streams of a
// client's (stream_uri.h). EINVAL "unknown STDIO scheme X".
kernel::Result<StdioMode> ModeOf(const StdioRequest& request);

}  // namespace gantry::shim
