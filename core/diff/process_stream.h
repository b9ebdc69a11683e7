// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "core/base/context.h"
#include "core/base/mutex.h"
#include "core/base/stream.h"
#include "core/kernel/subprocess.h"
#include "core/kernel/unique_fd.h"

namespace gantry::diff {

// How a stream processor's program is started.
struct ProcessSpec {
  std::string id;  // for error texts
  std::string path;
  std::vector<std::string> arguments;
  std::vector<std::string> environment;  // on top of ours
  std::string media_type;                // of the input: STREAM_PROCESSOR_MEDIATYPE
  std::string payload;                   // to be read from fd 3; empty: there is none
};

// What a program makes of a stream: input on its stdin, result on its stdout.
//
// Read() answers the end of the stream only after the program has exited with success; otherwise
// an error with what it wrote to stderr. Destruction kills and reaps the program.
//
// Threads: one at a time.
class ProcessStream final : public Reader {
 public:
  // `ctx` bounds every wait.
  static absl::StatusOr<std::unique_ptr<ProcessStream>> Start(const Context& ctx,
                                                              const ProcessSpec& spec,
                                                              std::unique_ptr<Reader> input);
  // The program reads what another one writes, without us between.
  static absl::StatusOr<std::unique_ptr<ProcessStream>> Start(const Context& ctx,
                                                              const ProcessSpec& spec,
                                                              std::unique_ptr<ProcessStream> input);
  ~ProcessStream() override;

  absl::StatusOr<size_t> Read(std::span<char> buffer) override;

 private:
  ProcessStream(const Context& ctx, std::string id, kernel::Subprocess child);

  static absl::StatusOr<std::unique_ptr<ProcessStream>> Spawn(const Context& ctx,
                                                              const ProcessSpec& spec,
                                                              kernel::Stdio input);
  absl::Status WaitForExit();
  void Feed(const std::stop_token& stop, Reader& source, int pipe);
  void CollectErrors(const std::stop_token& stop, int pipe);

  const Context ctx_;
  const std::string id_;
  std::unique_ptr<Reader> source_;
  std::unique_ptr<ProcessStream> upstream_;
  kernel::UniqueFd input_;
  kernel::UniqueFd output_;
  kernel::UniqueFd errors_;
  base::Mutex mutex_;
  std::string error_text_ ABSL_GUARDED_BY(mutex_);
  absl::Status feed_status_ ABSL_GUARDED_BY(mutex_) = absl::OkStatus();
  kernel::Subprocess child_;
  std::jthread feeder_;
  std::jthread collector_;
};

}  // namespace gantry::diff
