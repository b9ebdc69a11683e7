// SPDX-License-Identifier: Apache-2.0
#include "core/diff/process_stream.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/kernel/file.h"

namespace gantry::diff {
namespace {

// Waits are cut into pieces of this length, between which the caller's patience is asked for.
constexpr int kPatienceMs = 100;
constexpr size_t kMaxErrorBytes = 4096;
constexpr int kMaxReadsAfterExit = 1000;
constexpr size_t kFeedBytes = size_t{1} << 18;

std::vector<std::string> Environment(const ProcessSpec& spec) {
  std::vector<std::string> environment;
  for (char** each = environ; each != nullptr && *each != nullptr; ++each) {
    environment.emplace_back(*each);
  }
  environment.insert(environment.end(), spec.environment.begin(), spec.environment.end());
  environment.push_back("STREAM_PROCESSOR_MEDIATYPE=" + spec.media_type);
  return environment;
}

// A name without a slash is looked for in $PATH.
std::string FindProgram(const std::string& name) {
  const char* path = std::getenv("PATH");
  if (name.find('/') != std::string::npos || path == nullptr) return name;
  for (std::string_view rest = path; !rest.empty();) {
    const std::string_view directory = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(rest.size(), directory.size() + 1));
    std::string candidate = fmt::format("{}/{}", directory, name);
    if (directory.starts_with('/') && ::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return name;
}

absl::StatusOr<kernel::UniqueFd> PayloadFile(const std::string& payload) {
  kernel::UniqueFd file(::memfd_create("payload", MFD_CLOEXEC));
  if (!file) return FromErrno(errno, "make payload file");
  RETURN_IF_ERROR(ToStatus(kernel::WriteAll(file.get(), payload, "payload")));
  if (::lseek(file.get(), 0, SEEK_SET) < 0) return FromErrno(errno, "rewind payload");
  return file;
}

// False when nothing happened in time.
bool WaitFor(int fd, short events) {
  pollfd entry = {.fd = fd, .events = events, .revents = 0};
  return ::poll(&entry, 1, kPatienceMs) > 0;
}

void MakeNonBlocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

// A closed pipe is an error of the call, not a signal, whatever the process does about SIGPIPE.
void BlockBrokenPipeSignal() {
  sigset_t set = {};
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

std::string_view Trimmed(std::string_view text) {
  const size_t end = text.find_last_not_of(" \n\r\t");
  return end == std::string_view::npos ? std::string_view() : text.substr(0, end + 1);
}

}  // namespace

ProcessStream::ProcessStream(const Context& ctx, std::string id, kernel::Subprocess child)
    : ctx_(ctx), id_(std::move(id)), child_(std::move(child)) {}

ProcessStream::~ProcessStream() {
  feeder_.request_stop();
  collector_.request_stop();
  child_.Kill(SIGKILL).Ignore();  // it may have ended by itself; Subprocess reaps
}

absl::StatusOr<std::unique_ptr<ProcessStream>> ProcessStream::Spawn(const Context& ctx,
                                                                    const ProcessSpec& spec,
                                                                    kernel::Stdio input) {
  kernel::SpawnOptions options = {.program = FindProgram(spec.path), .arguments = {spec.path}};
  options.arguments.insert(options.arguments.end(), spec.arguments.begin(), spec.arguments.end());
  options.environment = Environment(spec);
  options.stdio = {input, kernel::Stdio::Pipe(), kernel::Stdio::Pipe()};
  kernel::UniqueFd payload;
  if (!spec.payload.empty()) {
    ASSIGN_OR_RETURN(payload, PayloadFile(spec.payload));
    options.extra_fds = {payload.get()};
  }
  auto child = kernel::Subprocess::Spawn(options);
  if (!child) return Unknown("stream processor {}: {}", spec.id, child.error().Text());
  auto stream = std::unique_ptr<ProcessStream>(
      new ProcessStream(ctx, spec.id, std::move(*child)));  // NOLINT: the constructor is private
  stream->output_ = stream->child_.TakePipe(1);
  stream->errors_ = stream->child_.TakePipe(2);
  stream->collector_ = std::jthread([self = stream.get()](const std::stop_token& stop) {
    self->CollectErrors(stop, self->errors_.get());
  });
  return stream;
}

absl::StatusOr<std::unique_ptr<ProcessStream>> ProcessStream::Start(const Context& ctx,
                                                                    const ProcessSpec& spec,
                                                                    std::unique_ptr<Reader> input) {
  ASSIGN_OR_RETURN(auto stream, Spawn(ctx, spec, kernel::Stdio::Pipe()));
  stream->source_ = std::move(input);
  stream->input_ = stream->child_.TakePipe(0);
  MakeNonBlocking(stream->input_.get());
  stream->feeder_ = std::jthread([self = stream.get()](const std::stop_token& stop) {
    self->Feed(stop, *self->source_, self->input_.get());
    self->input_.Reset();  // the program sees the end
  });
  return stream;
}

absl::StatusOr<std::unique_ptr<ProcessStream>> ProcessStream::Start(
    const Context& ctx, const ProcessSpec& spec, std::unique_ptr<ProcessStream> input) {
  ASSIGN_OR_RETURN(auto stream, Spawn(ctx, spec, kernel::Stdio::Fd(input->output_.get())));
  input->output_.Reset();
  stream->upstream_ = std::move(input);
  return stream;
}

void ProcessStream::Feed(const std::stop_token& stop, Reader& source, int pipe) {
  BlockBrokenPipeSignal();
  std::string buffer(kFeedBytes, '\0');
  while (!stop.stop_requested()) {
    const absl::StatusOr<size_t> count = source.Read(buffer);
    if (!count.ok() || *count == 0) {
      base::MutexLock lock(mutex_);
      feed_status_ = count.status();
      return;
    }
    for (std::string_view rest = std::string_view(buffer).substr(0, *count); !rest.empty();) {
      const ssize_t written = ::write(pipe, rest.data(), rest.size());
      if (written >= 0) {
        rest.remove_prefix(static_cast<size_t>(written));
      } else if (errno == EAGAIN) {
        while (!WaitFor(pipe, POLLOUT)) {
          if (stop.stop_requested()) return;
        }
      } else if (errno != EINTR) {
        return;  // the program wants no more; its exit status says whether that is fine
      }
    }
  }
}

void ProcessStream::CollectErrors(const std::stop_token& stop, int pipe) {
  std::array<char, 1024> buffer = {};
  // A child of the program may hold the pipe open for ever, or even write for ever.
  for (int after_exit = 0; after_exit < kMaxReadsAfterExit;) {
    if (stop.stop_requested()) ++after_exit;
    if (!WaitFor(pipe, POLLIN)) {
      if (after_exit > 0) return;
      continue;
    }
    const ssize_t count = ::read(pipe, buffer.data(), buffer.size());
    if (count <= 0) return;
    base::MutexLock lock(mutex_);
    error_text_.append(buffer.data(), static_cast<size_t>(count));
    // The end of a long text tells more than its start.
    if (error_text_.size() > kMaxErrorBytes) {
      error_text_.erase(0, error_text_.size() - kMaxErrorBytes);
    }
  }
}

absl::StatusOr<size_t> ProcessStream::Read(std::span<char> buffer) {
  for (;;) {
    RETURN_IF_ERROR(ctx_.Check());
    if (!WaitFor(output_.get(), POLLIN)) continue;
    const ssize_t count = ::read(output_.get(), buffer.data(), buffer.size());
    if (count > 0) return static_cast<size_t>(count);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FromErrno(errno, "read from stream processor " + id_);
    RETURN_IF_ERROR(WaitForExit());
    return size_t{0};
  }
}

absl::Status ProcessStream::WaitForExit() {
  // Whoever failed first explains the others.
  if (upstream_ != nullptr) RETURN_IF_ERROR(upstream_->WaitForExit());
  for (;;) {
    const auto exit = child_.Wait(kPatienceMs);
    if (!exit && exit.error().err == ETIMEDOUT) {
      RETURN_IF_ERROR(ctx_.Check());
      continue;
    }
    if (!exit) return ToStatus(exit.error());
    feeder_.request_stop();
    if (feeder_.joinable()) feeder_.join();
    collector_.request_stop();
    if (collector_.joinable()) collector_.join();
    base::MutexLock lock(mutex_);
    if (!feed_status_.ok()) return feed_status_;
    if (exit->success()) return absl::OkStatus();
    const std::string how = exit->signal != 0 ? fmt::format("signal {}", exit->signal)
                                              : fmt::format("exit status {}", exit->code);
    return Unknown("stream processor {}: {}: {}", id_, how, Trimmed(error_text_));
  }
}

}  // namespace gantry::diff
