// SPDX-License-Identifier: Apache-2.0
// What the lines of a log look like.
#pragma once

#include <ctime>
#include <string>
#include <string_view>

namespace gantry::shim {

enum class LogFormat {
  kRaw,   // nothing is added
  kCri,   // "TIME STREAM TAG CONTENT", the format of Kubernetes' CRI
  kJson,  // {"log":…,"stream":…,"time":…}, the format of Docker's json-file
};

struct LogLine {
  std::string_view time;    // of LogTime()
  std::string_view stream;  // "stdout" or "stderr"
  std::string_view content;
  bool complete = true;  // it ended in a line feed, which is no part of `content`
};

// RFC 3339 in UTC, with all nine digits of the nanoseconds.
std::string LogTime(timespec time);

// Adds the line to `out`. Of the content of a JSON line what is not UTF-8 is replaced.
void AppendLogLine(LogFormat format, const LogLine& line, std::string& out);

}  // namespace gantry::shim
