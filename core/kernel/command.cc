// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/command.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

#include "core/kernel/file.h"

namespace gantry::kernel {
namespace {

int64_t NowMs() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

// A file instead of a pipe: the program can never be late in reading it.
Result<UniqueFd> InputFile(const std::string& input) {
  UniqueFd file(::memfd_create("input", MFD_CLOEXEC));
  if (!file) return LastError("memfd_create");
  if (auto written = WriteAll(file.get(), input, "input"); !written) return written.error();
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return LastError("rewind input");
  return file;
}

struct Stream {
  UniqueFd fd;
  std::string text;
};

// Reads what is there; closes the fd at its end. The bound holds more than a pipe can, and ends
// the reading of a stream that somebody else goes on filling.
void Drain(Stream& stream, size_t max_bytes) {
  constexpr int kMaxReads = 256;
  std::array<char, 16384> buffer{};
  for (int reads = 0; stream.fd && reads < kMaxReads; ++reads) {
    const ssize_t got = ::read(stream.fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      stream.fd.Reset();
      return;
    }
    const size_t room = max_bytes - stream.text.size();
    stream.text.append(buffer.data(), std::min(static_cast<size_t>(got), room));
  }
}

// Reads both streams until the child has ended.
Result<void> Gather(const Subprocess& child, std::array<Stream, 2>& streams,
                    const CommandLimits& limits) {
  const int64_t deadline = NowMs() + limits.timeout_ms;
  while (true) {
    std::array<pollfd, 3> events{{{.fd = child.pidfd(), .events = POLLIN, .revents = 0},
                                  {.fd = streams[0].fd.get(), .events = POLLIN, .revents = 0},
                                  {.fd = streams[1].fd.get(), .events = POLLIN, .revents = 0}}};
    const int64_t left = deadline - NowMs();
    if (left <= 0) return Error{ETIMEDOUT, "wait"};
    const int ready = ::poll(events.data(), events.size(), static_cast<int>(left));
    if (ready < 0 && errno != EINTR) return LastError("poll");
    // Asked before the streams are read, so that nothing written before the end is missed.
    const bool ended = ready > 0 && events[0].revents != 0;
    for (Stream& stream : streams) Drain(stream, limits.max_output_bytes);
    if (ended) return {};
  }
}

}  // namespace

Result<std::string> FindProgram(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "";
  const std::string all = std::string(rest) + ":/usr/sbin:/usr/bin:/sbin:/bin";
  for (rest = all; !rest.empty();) {
    const size_t end = std::min(rest.find(':'), rest.size());
    const std::string candidate = std::string(rest.substr(0, end)) + "/" + name;
    // An empty or relative part means the working directory, which is nobody's choice here.
    if (candidate.starts_with('/') && end > 0 && ::access(candidate.c_str(), X_OK) == 0) {
      return candidate;
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return Error{ENOENT, "find program " + name};
}

Result<CommandResult> RunCommand(SpawnOptions options, const std::string& input,
                                 const CommandLimits& limits) {
  UniqueFd input_file;
  if (!input.empty()) {
    auto file = InputFile(input);
    if (!file) return file.error();
    input_file = std::move(*file);
  }
  options.stdio = {input_file ? Stdio::Fd(input_file.get()) : Stdio::Null(), Stdio::Pipe(),
                   Stdio::Pipe()};
  auto child = Subprocess::Spawn(options);
  if (!child) return child.error();
  std::array<Stream, 2> streams{{{child->TakePipe(1), {}}, {child->TakePipe(2), {}}}};
  for (const Stream& stream : streams) ::fcntl(stream.fd.get(), F_SETFL, O_NONBLOCK);
  if (auto gathered = Gather(*child, streams, limits); !gathered) {
    return Error{gathered.error().err, "run " + options.program};
  }
  auto status = child->Wait();
  if (!status) return status.error();
  return CommandResult{.status = *status,
                       .output = std::move(streams[0].text),
                       .errors = std::move(streams[1].text)};
}

}  // namespace gantry::kernel
