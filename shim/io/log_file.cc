// SPDX-License-Identifier: Apache-2.0
#include "shim/io/log_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

#include "core/kernel/file.h"
#include "shim/io/stdio_uri.h"

namespace gantry::shim {
namespace {

constexpr size_t kDefaultLineBytes = 16384;
constexpr size_t kMinLineBytes = 64;
constexpr size_t kMaxLineBytes = 1UL << 20;
constexpr size_t kWriteBytes = 64UL << 10;  // whole lines are gathered up to this

std::string Now() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return LogTime(now);
}

// 0 when the argument is no such size.
size_t LineBytesOf(const StdioUri& uri) {
  for (const auto& [key, value] : uri.query) {
    if (key != "max-line") continue;
    size_t bytes = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), bytes);
    const bool whole = error == std::errc() && end == value.data() + value.size();
    return whole && bytes >= kMinLineBytes && bytes <= kMaxLineBytes ? bytes : 0;
  }
  return kDefaultLineBytes;
}

}  // namespace

bool LogFile::IsScheme(std::string_view scheme) {
  return scheme == "file" || scheme == "cri+file" || scheme == "json+file";
}

kernel::Result<std::shared_ptr<LogFile>> LogFile::Open(const std::string& uri) {
  auto parsed = ParseStdioUri(uri);
  if (!parsed) return parsed.error();
  LogFormat format = LogFormat::kRaw;
  if (parsed->scheme == "cri+file") format = LogFormat::kCri;
  if (parsed->scheme == "json+file") format = LogFormat::kJson;
  const size_t line_bytes = LineBytesOf(*parsed);
  if (line_bytes == 0) return kernel::Error{EINVAL, "max-line of " + uri};
  std::shared_ptr<LogFile> made(new LogFile(parsed->path, format, line_bytes));
  const std::string directory = made->path_.substr(0, made->path_.rfind('/') + 1);
  if (auto done = kernel::MakeDirectories(directory, 0755); !done) return done.error();
  if (auto opened = made->Reopen(); !opened) return opened.error();
  return made;
}

LogFile::~LogFile() {
  for (const OutputStream stream : {OutputStream::kStdout, OutputStream::kStderr}) {
    followers_->Ended(stream);
  }
}

kernel::Result<void> LogFile::Reopen() {
  // Without O_NONBLOCK a path that is a fifo would wait for a reader.
  auto fd = kernel::Open(path_, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY, 0644);
  if (!fd) return fd.error();
  fd_ = *std::move(fd);
  return {};
}

void LogFile::Append(std::string_view data) {
  while (!data.empty()) {
    const ssize_t count = ::write(fd_.get(), data.data(), data.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    data.remove_prefix(static_cast<size_t>(count));
  }
}

LogStream::LogStream(std::shared_ptr<LogFile> file, OutputStream stream)
    : file_(std::move(file)), stream_(stream) {}

void LogStream::Write(std::string_view data) {
  file_->followers()->Wrote(stream_, data);
  if (file_->format() == LogFormat::kRaw) return file_->Append(data);
  const std::string time = Now();
  const size_t max = file_->max_line_bytes();
  std::string out;
  while (!data.empty()) {
    const size_t room = max - held_.size();
    const size_t end = std::min(data.find('\n'), data.size());
    if (end <= room && end == data.size()) break;
    const bool complete = end <= room;
    AppendLine(time, data.substr(0, std::min(end, room)), complete, out);
    data.remove_prefix(complete ? end + 1 : room);
    if (out.size() >= kWriteBytes) {
      file_->Append(out);
      out.clear();
    }
  }
  held_ += data;
  file_->Append(out);
}

void LogStream::Finish() {
  file_->followers()->Ended(stream_);
  if (held_.empty()) return;
  std::string out;
  AppendLine(Now(), {}, false, out);
  file_->Append(out);
}

void LogStream::AppendLine(std::string_view time, std::string_view content, bool complete,
                           std::string& out) {
  LogLine line{.time = time,
               .stream = stream_ == OutputStream::kStdout ? "stdout" : "stderr",
               .content = content,
               .complete = complete};
  if (!held_.empty()) {
    held_ += content;
    line.content = held_;
  }
  AppendLogLine(file_->format(), line, out);
  held_ = std::string();  // its memory, too
}

}  // namespace gantry::shim
