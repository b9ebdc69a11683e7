// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/shim_log.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "core/base/kernel_status.h"
#include "core/base/mutex.h"
#include "core/kernel/file.h"

namespace gantry::runtime {
namespace {

constexpr size_t kMaxLineBytes = 16UL << 10;
constexpr size_t kMaxBytesPerTurn = 64UL << 10;  // so that one chatty shim leaves time for others

// Takes `key=value` or `key="value"` off the front of `text`.
bool TakePair(std::string_view& text, std::string_view& key, std::string& value) {
  const size_t start = text.find_first_not_of(' ');
  if (start == std::string_view::npos) return false;
  const size_t equals = text.find('=', start);
  if (equals == std::string_view::npos) return false;
  key = text.substr(start, equals - start);
  if (key.empty() || key.find_first_of(" \"") != std::string_view::npos) return false;
  text.remove_prefix(equals + 1);
  value.clear();
  if (!text.starts_with('"')) {
    const size_t end = text.find(' ');
    value = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end);
    return true;
  }
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') {
      text.remove_prefix(i + 1);
      return true;
    }
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    value.push_back(text[i]);
  }
  return false;
}

}  // namespace

ShimLogLine ParseShimLogLine(std::string_view line) {
  ShimLogLine parsed;
  std::string_view rest = line;
  std::string_view key;
  std::string value;
  while (TakePair(rest, key, value)) {
    if (key == "level") {
      // Logrus says "warning", which our own levels do not know.
      if (value == "warning") value = "warn";
      log::ParseLevel(value, parsed.level);
    } else if (key == "msg") {
      parsed.message = value;
    } else if (key != "time") {
      parsed.rest += fmt::format("{}{}={:?}", parsed.rest.empty() ? "" : " ", key, value);
    }
  }
  if (parsed.message.empty()) return {.message = std::string(line)};
  return parsed;
}

class ShimLog::Copier {
 public:
  Copier(kernel::UniqueFd fifo, std::string ns, std::string id)
      : fifo_(std::move(fifo)), ns_(std::move(ns)), id_(std::move(id)) {}
  // What a shim that crashed said last may lack the end of its line.
  ~Copier() { Finish(); }
  Copier(const Copier&) = delete;
  Copier& operator=(const Copier&) = delete;

  int fd() const { return fifo_.get(); }
  Loop::WatchId watch = 0;

  void Copy() {
    base::MutexLock lock(mutex_);
    std::array<char, 4096> buffer;
    for (size_t total = 0; total < kMaxBytesPerTurn;) {
      const ssize_t got = ::read(fifo_.get(), buffer.data(), buffer.size());
      if (got <= 0) return;
      total += static_cast<size_t>(got);
      Append({buffer.data(), static_cast<size_t>(got)});
    }
  }

 private:
  void Finish() {
    base::MutexLock lock(mutex_);
    Print();
  }

  void Append(std::string_view text) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    while (!text.empty()) {
      const size_t end = text.find('\n');
      line_.append(text.substr(0, end));
      if (end == std::string_view::npos && line_.size() < kMaxLineBytes) return;
      Print();
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
  }

  void Print() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const std::string line = std::exchange(line_, {});
    if (line.empty()) return;
    const ShimLogLine parsed = ParseShimLogLine(line);
    // A shim's "fatal" ends the shim, not us.
    const log::Level level = std::min(parsed.level, log::Level::kError);
    if (parsed.rest.empty()) {
      log::Write(level, "shim log", {{"ns", ns_}, {"container", id_}, {"shim", parsed.message}});
    } else {
      log::Write(level, "shim log",
                 {{"ns", ns_},
                  {"container", id_},
                  {"shim", parsed.message},
                  {"shim_fields", parsed.rest}});
    }
  }

  const kernel::UniqueFd fifo_;
  const std::string ns_;
  const std::string id_;
  base::Mutex mutex_;
  std::string line_ ABSL_GUARDED_BY(mutex_);
};

absl::StatusOr<std::unique_ptr<ShimLog>> ShimLog::Open(Loop& loop,
                                                       const std::filesystem::path& fifo,
                                                       std::string ns, std::string id) {
  if (::mkfifo(fifo.c_str(), 0700) != 0 && errno != EEXIST) {
    return FromErrno(errno, "make " + fifo.string());
  }
  auto fd = kernel::Open(fifo.string(), O_RDWR | O_NONBLOCK | O_NOFOLLOW);
  if (!fd) return ToStatus(fd.error());
  auto copier = std::make_shared<Copier>(*std::move(fd), std::move(ns), std::move(id));
  ASSIGN_OR_RETURN(copier->watch,
                   loop.Watch(copier->fd(), EPOLLIN, [copier](uint32_t) { copier->Copy(); }));
  return std::unique_ptr<ShimLog>(new ShimLog(loop, std::move(copier)));
}

ShimLog::~ShimLog() {
  loop_.Unwatch(copier_->watch);
  copier_->Copy();
}

}  // namespace gantry::runtime
