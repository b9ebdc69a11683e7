// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "core/kernel/result.h"
#include "core/kernel/unique_fd.h"
#include "shim/io/log_followers.h"
#include "shim/io/log_format.h"

namespace gantry::shim {

// A file that the shim itself appends a process's output to. Its URI says how:
//
//   file:///PATH        as it comes
//   cri+file:///PATH    in lines of the CRI's format
//   json+file:///PATH   in lines of Docker's json-file format
//
// Lines of both formats are cut into pieces of `max-line` bytes, an argument of the URI: 16384
// unless given, from 64 to 1048576. Directories above the file are made, 0755, and the file, 0644.
class LogFile {
 public:
  // EINVAL when the URI makes no sense.
  static kernel::Result<std::shared_ptr<LogFile>> Open(const std::string& uri);
  static bool IsScheme(std::string_view scheme);
  // Also the end for those who read along, of streams that never began too.
  ~LogFile();

  // Goes on in the file that has the path now, or a new one: the old one was renamed. After an
  // error the old file is still in use.
  kernel::Result<void> Reopen();

  // In one call of the kernel if it takes it whole. What it does not take (a full disk) is dropped.
  void Append(std::string_view data);

  // Those who read along.
  const std::shared_ptr<LogFollowers>& followers() const { return followers_; }

  LogFormat format() const { return format_; }
  size_t max_line_bytes() const { return max_line_bytes_; }

 private:
  LogFile(std::string path, LogFormat format, size_t max_line_bytes)
      : path_(std::move(path)), format_(format), max_line_bytes_(max_line_bytes) {}

  const std::string path_;
  const LogFormat format_;
  const size_t max_line_bytes_;
  const std::shared_ptr<LogFollowers> followers_ = std::make_shared<LogFollowers>();
  kernel::UniqueFd fd_;
};

// One of the streams that go into a LogFile. Keeps a line until it is complete, or as long as a
// line may be.
class LogStream {
 public:
  LogStream(std::shared_ptr<LogFile> file, OutputStream stream);

  void Write(std::string_view data);
  // The stream has ended, maybe within a line. To be called once.
  void Finish();

 private:
  void AppendLine(std::string_view time, std::string_view content, bool complete, std::string& out);

  const std::shared_ptr<LogFile> file_;
  const OutputStream stream_;
  std::string held_;  // of a line that is not complete yet
};

}  // namespace gantry::shim
